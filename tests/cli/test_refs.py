"""REF, in every form, for every command that takes one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.services.deployment import DAY, Deploy, Deployment
from tests.services.sweeps import sweep
from xcomctl.airflow.interface import Selection
from xcomctl.cli.app import main


@dataclass(frozen=True)
class Said:
    """How a run in this process ended, and what it wrote."""

    code: int
    out: str
    lines: list[str]


Run = Callable[..., Said]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process."""

    def run(options: Sequence[str], verb: str, *arguments: str) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([verb, *options, *arguments])
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err.splitlines())

    return run


def _short_id(here: Deployment, _: str) -> str:
    (row,) = here.source.rows(Selection(run="r2"))
    return row.short_id


_ROW = {
    "name": lambda here, key: "etl/r2/load",
    "whole name": lambda here, key: "etl/r2/load[-1]:return_value",
    "latest": lambda here, key: "etl/latest/load",
    "id": _short_id,
}
_OBJECT = {
    "URI": lambda here, key: f"s3://{here.bucket}/{key}",
    "URI of Hadoop": lambda here, key: f"s3a://{here.bucket}/{key}",
    "stored reference": lambda here, key: here.uri(key),
    "stored value": lambda here, key: json.dumps(here.uri(key)),
    "bare key": lambda here, key: key,
}


@pytest.mark.parametrize(
    "form", sweep([*_ROW, *_OBJECT], lambda form: form in ("latest", "id", "stored value"))
)
def test_every_command_takes_every_form(form: str, deploy: Deploy, run: Run) -> None:
    """`show` and `explain` name what was named, row or object, `diff` finds both sides, `rm` the row and its object."""
    here = deploy()
    here.push(run="r1", age=DAY)
    key = here.push(run="r2")
    ref = (_ROW | _OBJECT)[form](here, key)
    name = "etl/r2/load:return_value" if form in _ROW else f"s3://{here.bucket}/{key}"

    shown = run(here.options, "show", ref, "-o", "json")
    assert (shown.code, json.loads(shown.out)["ref"]) == (0, name)
    compared = run(here.options, "diff", ref, "etl/r1/load")
    assert (compared.code, compared.lines) == (0, [])
    explained = run(here.options, "explain", ref, "-o", "json")
    assert (explained.code, json.loads(explained.out)["ref"]) == (0, name)

    planned = run(here.options, "rm", ref, "--dry-run", "-o", "ndjson")
    actions = [json.loads(line) for line in planned.out.splitlines()]
    assert (planned.code, [(one["action"], one["run_id"]) for one in actions]) == (
        0,
        [("delete_row", "r2"), ("delete_object", "r2")],
    )
    done = run(here.options, "rm", ref, "--yes")
    assert (done.code, here.refs(), key in here.keys()) == (0, {"etl/r1/load:return_value"}, False)  # noqa: SIM118


def test_an_object_stands_for_every_row_whose_value_it_is(deploy: Deploy, run: Run) -> None:
    """However often it is named; another row that mentions it keeps it."""
    here = deploy()
    key = here.push(run="r1")
    here.add_row("report", "r1", here.uri(key))
    here.add_row("etl", "r2", {"from": here.uri(key)})
    done = run(
        here.options, "rm", f"s3://{here.bucket}/{key}", "etl/r1/load", here.uri(key), "--yes", "-o", "json"
    )
    assert (done.code, json.loads(done.out)["rows"]["deleted"]) == (0, 2)
    assert here.state() == ({key}, {"etl/r2/load:return_value"})


def test_a_reference_finds_its_row_after_the_object_is_gone(deploy: Deploy, run: Run) -> None:
    """A dangling row is removed by what it says."""
    here = deploy()
    here.push(run="r1")
    key = here.push(run="lost", key=f"{here.prefix}/etl/lost/load/{uuid4()}")
    assert run(here.options, "rm", here.uri(key), "--yes").code == 0
    assert here.refs() == {"etl/r1/load:return_value"}


def test_an_object_that_is_no_value_removes_nothing(deploy: Deploy, run: Run) -> None:
    """An orphan, an object that values only mention, and text that merely looks like a reference are told apart."""
    here = deploy()
    orphan, held = here.upload(), here.upload(run="held")
    here.add_row("etl", "r1", [here.uri(held)])
    here.add_row("etl", "r2", f"s3://{here.bucket}/lake/orders.parquet")
    before = here.state()
    cases = (
        (f"s3://{here.bucket}/{orphan}", "error: no row references s3://{bucket}/{key}"),
        (
            here.uri(held),
            "error: s3://{bucket}/{key} is the value of no XCom, only mentioned in 1 value",
        ),
        (
            f"s3://{here.bucket}/lake/orders.parquet",
            "error: s3://{bucket}/{key} is the value of no XCom, only mentioned in 1 value",
        ),
    )
    for ref, cause in cases:
        key = ref.partition(f"{here.bucket}/")[2]
        said = run(here.options, "rm", ref, "--yes")
        assert (said.code, said.lines[0]) == (1, cause.format(bucket=here.bucket, key=key))
        assert f"xcomctl explain s3://{here.bucket}/{key}" in said.lines[1]
    assert here.state() == before


@pytest.mark.parametrize("verb", ["show", "diff", "explain", "rm"])
@pytest.mark.parametrize(
    ("ref", "code", "cause", "hint"),
    [
        ("elt/r1/load", 1, "there is no DAG 'elt'", "did you mean etl?"),
        ("1-ffffff", 1, "no XCom has the id 1-ffffff", "xcomctl ls lists XComs with their ids"),
        ("etl/r1", 2, "'etl/r1' is not the name of an XCom", "write dag/run/task:key"),
        (
            "etl",
            2,
            "'etl' names no XCom and is no reference that a known backend writes",
            "write dag/run/task:key",
        ),
        ("s3://bucket", 2, "'s3://bucket' names no object", "write s3://bucket/key"),
        ('{"a": 1}', 2, """'{"a": 1}' names no XCom and is no reference""", "write dag/run/task:key"),
    ],
)
def test_every_refusal_has_a_hint(
    verb: str, ref: str, code: int, cause: str, hint: str, deploy: Deploy, run: Run
) -> None:
    """The same one, whichever command was given the REF."""
    here = deploy()
    here.push(run="r1")
    said = run(here.options, verb, ref)
    assert (said.code, said.out) == (code, "")
    assert said.lines[0].startswith(f"error: {cause}")
    assert said.lines[1].startswith(f"hint: {hint}")


@pytest.mark.parametrize("verb", ["show", "diff", "explain", "rm"])
def test_a_reference_without_bucket_needs_a_store(verb: str, deploy: Deploy, run: Run) -> None:
    """Where no root is given, the hint says what to add."""
    here = deploy()
    here.add_row("etl", "r1", {"rows": 3})
    reference = f"xcom_s3://data_{uuid4()}.csv"
    database = here.options[: here.options.index("--store")]
    said = run(database, verb, reference)
    assert (said.code, said.lines[-2:]) == (
        2,
        [
            f"error: {reference} does not say in which bucket its object is",
            "hint: add --store s3://bucket/prefix",
        ],
    )
