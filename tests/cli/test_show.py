from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.services.command import Command
from tests.services.object_stores import MotoServer, point_to
from tests.services.processes import free_port
from tests.services.sweeps import sweep
from tests.services.worlds import WORLDS, World
from xcomctl.airflow.interface import Selection
from xcomctl.cli.options import ConnectionOptions
from xcomctl.look.codecs.interface import FramePreview, PicklePreview, Preview, PreviewOptions, TreePreview
from xcomctl.look.preview import find, preview, stored_bytes
from xcomctl.models import Row

DOUBLY = "the value is JSON text inside a JSON string; shown is what that text says"
TRIPLY = "the value is JSON text inside 2 JSON strings, one in the other; shown is what that text says"

VALUES: dict[str, Any] = {
    "push_int": 42,
    "push_float": 1.5,
    "push_bool": True,
    "push_str": "hello é",
    "push_num_str": "123",
    "push_json_str": {"a": 1},
    "push_dict": {"a": 1, "b": [1, 2, {"c": None}], "ü": "x"},
    "push_list": [1, "two", 3.0, None],
    "push_none_explicit": None,
    "push_tuple": {"t": [1, 2]},
    "push_datetime": {"at": "2024-02-03T04:05:06Z"},
    "push_big": "0123456789abcdef" * 2000,
    "push_big_dict": {f"k{number}": list(range(20)) for number in range(60)},
    "push_big_list": list(range(1500)),
    "push_odd_key": {"odd": 1, "pad": "x" * 1500},
    "make": [1, 2, 3],
}
"""What the tasks of the worlds returned, as a preview says it."""
TABLES = {
    "push_df": (300, ((0, "n0", 0.0), (1, "n1", 1 / 7), (2, "n2", 2 / 7))),
    "push_small_df": (2, ((1, "x"), (2, "y"))),
}
"""Number of rows and first rows of the DataFrames of the worlds."""
COLUMNS = {"push_df": ["id", "name", "v"], "push_small_df": ["a", "b"]}


def _db(world: World) -> tuple[str, ...]:
    return ("--db", world.db_url)


def _everything(world: World) -> tuple[str, ...]:
    assert world.root is not None
    assert world.endpoint_url is not None
    return (*_db(world), "--store", world.root, "--endpoint-url", world.endpoint_url)


def _is_as_pushed(row: Row, shown: Preview) -> bool:
    """Whether the preview is that of the value which the task pushed; a pickle only tells its strings."""
    assert row.task_id is not None
    if isinstance(shown, FramePreview):
        rows, head = TABLES[row.task_id]
        assert [name for name, _ in shown.columns] == COLUMNS[row.task_id]
        assert [name.replace("large_", "") for _, name in shown.columns][:2] == (["int64", "string"])
        # The end of a CSV is not read where it is beyond the first block.
        assert (shown.rows, shown.head) == (rows, head)
        return True
    if isinstance(shown, PicklePreview):
        assert not shown.truncated
        if row.task_id == "push_big_dict":
            assert shown.classes == ()
            assert shown.strings == tuple(f"k{number}" for number in range(60))
        return True
    if row.task_id in VALUES:
        assert shown == TreePreview(VALUES[row.task_id])
        return True
    return False


@pytest.mark.parametrize(
    "name",
    sweep(
        [name for name in WORLDS if not name.startswith("migrated-")],
        lambda name: name in ("2.5.0-pickle-sqlite", "2.11.2-commonio-pg", "3.4.0b2-commonio-sqlite"),
    ),
)
def test_shows_every_value_that_airflow_wrote(name: str, world: Callable[..., World]) -> None:
    """Every row of every world is found by its short id and by its name, and shown as the value that was pushed."""
    here = world(name)
    compared = 0
    options = ConnectionOptions(
        db=here.db_url, store=None if here.root is None else [here.root], endpoint_url=here.endpoint_url
    )
    with options.open() as session:
        rows = list(session.source.rows(Selection(all_attempts=True)))
        for row in rows:
            found = find(row.short_id, session)
            assert found.row == row
            shown = preview(found, PreviewOptions(head=3))
            compared += _is_as_pushed(row, shown.preview)
            assert shown.notes in ((), (DOUBLY,), (TRIPLY,))
            assert sum(len(chunk) for chunk in stored_bytes(found)) == found.size
            if not row.superseded:
                assert find(row.ref, session).row == row
    assert len(rows) > 0
    assert compared > 10


def test_inline_value(xcomctl: Command, world: Callable[..., World]) -> None:
    """An inline value is shown without an object store, and boto3 is not even imported."""
    here = world("3.3.2-commonio-sqlite", store=False)
    result = xcomctl(
        "show", "xt_types/types_run_1/push_dict", *_db(here), env={"PYTHONPROFILEIMPORTTIME": "1"}
    )
    lines = result.stdout.splitlines()
    assert (result.code, lines[0]) == (0, "xt_types/types_run_1/push_dict:return_value")
    assert lines[-1] == '{"a": 1, "b": [1, 2, {"c": null}], "ü": "x"}'
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert imported & {"boto3", "botocore", "pandas", "pyarrow", "duckdb"} == set()
    assert "sqlalchemy" in imported
    result = xcomctl("show", "xt_types/types_run_1/push_str", "--raw", *_db(here))
    assert (result.code, result.stdout) == (0, '"hello \\u00e9"')


def test_frame_in_object(xcomctl: Command, world: Callable[..., World]) -> None:
    """A DataFrame is shown with its shape, its columns with types, and its first rows."""
    here = world("3.3.2-commonio-sqlite")
    result = xcomctl("show", "xt_types/types_run_1/push_df", "--head", "2", *_everything(here))
    assert (result.code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[1].startswith("  object   s3://xcoms/airflow-3.3.2/xt_types/types_run_1/push_df/")
    assert lines[lines.index("") + 1 :] == [
        "pandas.DataFrame: 300 rows x 3 columns",
        "",
        "  id    int64",
        "  name  large_string",
        "  v     double",
        "",
        "id  name                    v",
        " 0  n0                    0.0",
        " 1  n1    0.14285714285714285",
    ]


def test_frame_as_json(xcomctl: Command, world: Callable[..., World]) -> None:
    """`-o json` gives one document with where the XCom lives, how it is encoded and its beginning."""
    here = world("2.11.2-commonio-gz-sqlite")
    result = xcomctl(
        "show", "xt_types/latest/push_df", "--head=1", "--columns=v,id", "-o", "json", *_everything(here)
    )
    assert (result.code, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    uri = document.pop("uri")
    key = uri.removeprefix("s3://xcoms/")
    assert document == {
        "schema": "xcomctl.show/1",
        "ref": "xt_types/manual__2024-01-01T00:00:00+00:00/push_df:return_value",
        "id": document["id"],
        "dag_id": "xt_types",
        "run_id": "manual__2024-01-01T00:00:00+00:00",
        "task_id": "push_df",
        "map_index": -1,
        "key": "return_value",
        "try_number": None,
        "written_at": document["written_at"],
        "lives": "s3",
        "dialect": document["dialect"],
        "last_modified": document["last_modified"],
        "size": len(here.payload(key)),
        "codec": "json",
        "compression": ["gzip"],
        "notes": [],
        "references": [],
        "preview": {
            "type": "frame",
            "kind": "pandas.core.frame.DataFrame",
            "rows": 300,
            "columns": [
                {"name": "id", "type": "int64"},
                {"name": "name", "type": "string"},
                {"name": "v", "type": "double"},
            ],
            "head_columns": ["v", "id"],
            "head": [[0.0, 0]],
            "statistics": None,
            "described": None,
        },
    }
    assert document["written_at"].endswith("Z")


def test_uri_needs_no_database(xcomctl: Command, world: Callable[..., World]) -> None:
    """An object is shown by its URI and by its stored reference where there is no database."""
    here = world("2.11.2-naive-sqlite")
    key = next(key for key in here.keys if key.startswith("data_csv_") and len(here.payload(key)) > 1000)
    for ref in (
        f"s3://xcoms/{key}",
        f"s3://aws_default@xcoms/{key}",
        f"xcom_s3://{key}",
        f'"xcom_s3://{key}"',
    ):
        result = xcomctl(
            "show", ref, "-o", "json", "--store", "s3://xcoms", "--endpoint-url", str(here.endpoint_url)
        )
        assert (result.code, result.stderr) == (0, "")
        document = json.loads(result.stdout)
        assert (document["uri"], document["codec"]) == (f"s3://xcoms/{key}", "csv")
        assert (document["preview"]["rows"], document["preview"]["head"][1]) == (300, [1, "n1", 1 / 7])


def test_stored_reference_without_store(xcomctl: Command) -> None:
    """A reference that names no bucket asks for `--store`."""
    result = xcomctl("show", "xcom_s3://data_csv_98d1d9c6-790f-43b6-8b09-3b47c15698a2")
    assert result.code == 2
    assert result.stderr.splitlines()[-1] == "hint: add --store s3://bucket/prefix"


def test_raw_writes_the_stored_bytes(xcomctl: Command, world: Callable[..., World], tmp_path: Path) -> None:
    """`--raw` gives what is stored, byte by byte, in a file."""
    here = world("2.11.2-commonio-gz-sqlite")
    ref = "xt_types/latest/push_df"
    uri = json.loads(xcomctl("show", ref, "-o", "json", *_everything(here)).stdout)["uri"]
    file = tmp_path / "payload"
    result = xcomctl("show", ref, "--raw", "--out", str(file), *_everything(here))
    assert (result.code, result.stdout, result.stderr) == (0, "", "")
    assert file.read_bytes() == here.payload(uri.removeprefix("s3://xcoms/"))
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []
    link = tmp_path / "link"
    link.symlink_to(file)
    refused = xcomctl("show", ref, "--raw", "--out", str(link), *_everything(here))
    assert (refused.code, refused.stderr.splitlines()) == (
        2,
        [f"error: {link} is a link to {file}, and is not followed", f"hint: --out {file}, if you mean that"],
    )


def test_describe(xcomctl: Command, world: Callable[..., World]) -> None:
    """`--describe` adds statistics over all rows."""
    here = world("3.4.0b2-commonio-sqlite")
    result = xcomctl(
        "show",
        "xt_types/latest/push_df",
        "--describe",
        "--columns",
        "id",
        "--head",
        "0",
        "-o",
        "json",
        *_everything(here),
    )
    assert result.code == 0
    assert json.loads(result.stdout)["preview"]["statistics"] == [
        {
            "name": "id",
            "type": "int64",
            "count": 300,
            "nulls": 0,
            "min": 0,
            "max": 299,
            "mean": 149.5,
            "distinct": 300,
            "p25": 74.75,
            "p50": 149.5,
            "p75": 224.25,
            "histogram": [19, 19, 19, 18, 19, 19, 18, 19, 19, 18, 19, 19, 18, 19, 19, 19],
            "top": None,
            "sampled": None,
        }
    ]


def test_describe_fits_the_terminal(xcomctl: Command, world: Callable[..., World]) -> None:
    """Statistics are a line per column, at 80 columns without what is least missed; dicts are described by path."""
    here = world("3.3.2-commonio-sqlite")
    frame = ("show", "xt_types/latest/push_df", "--describe", "--head", "0", *_everything(here))
    narrow = xcomctl.on_terminal(*frame, env={"NO_COLOR": "1", "TERM": "dumb"})
    assert (narrow.code, narrow.stderr) == (0, "")
    assert [line.split() for line in narrow.stdout.splitlines()[-4:]] == [
        ["name", "count", "nulls", "distinct", "min", "p25", "p50", "max", "mean", "spread"],
        ["id", "300", "0", "300", "0", "74.75", "149.5", "299", "149.5", "████████"],
        ["name", "300", "0", "300", "n0", "n99"],
        ["v", "300", "0", "300", "0", "10.6786", "21.3571", "42.7143", "21.3571", "████████"],
    ]
    wide = xcomctl.on_terminal(*frame, width=200).stdout
    assert "p75" in wide
    first = xcomctl(*frame, "--rows", "10").stdout
    assert "statistics of the first 10 rows" in first
    tree = xcomctl("show", "xt_types/latest/push_dict", "--describe", "-o", "json", *_everything(here))
    told = json.loads(tree.stdout)["preview"]["statistics"]
    assert [(path["name"], path["type"], path["count"]) for path in told] == [
        (".", "dict", 1),
        (".a", "int", 1),
        (".b", "list", 1),
        ('."ü"', "str", 1),
        (".b[]", "int | dict", 3),
        (".b[].c", "null", 0),
    ]


def test_dangling(xcomctl: Command, world: Callable[..., World]) -> None:
    """A row whose object is gone is an error that names row and object."""
    here = world("3.3.2-commonio-sqlite")
    ref = "xt_types/types_run_1/push_df"
    uri = json.loads(xcomctl("show", ref, "-o", "json", *_everything(here)).stdout)["uri"]
    with closing(boto3.client("s3", endpoint_url=here.endpoint_url)) as client:
        client.delete_object(Bucket="xcoms", Key=uri.removeprefix("s3://xcoms/"))
    result = xcomctl("show", ref, *_everything(here))
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"error: {ref}:return_value is dangling: its object {uri} does not exist",
        "hint: xcomctl fsck lists all such rows",
    ]


@pytest.mark.parametrize(
    ("ref", "cause", "hint"),
    [
        ("xt_typs/latest/push_df", "there is no DAG 'xt_typs'", "did you mean xt_types"),
        (
            "xt_types/types_run_9/push_df",
            "no run 'types_run_9' of xt_types has XComs",
            "did you mean types_run_",
        ),
        (
            "xt_types/types_run_1/push_dfs",
            "run types_run_1 of xt_types has no XCom push_dfs:return_value",
            "did you mean xt_types/types_run_1/push_df:return_value",
        ),
        (
            "xt_mapped/mapped_run_1/times",
            "run mapped_run_1 of xt_mapped has no XCom times:return_value",
            "did you mean xt_mapped/mapped_run_1/times[0]:return_value",
        ),
        ("1-000000", "no XCom has the id 1-000000", "xcomctl ls"),
    ],
)
def test_unknown_ref(xcomctl: Command, world: Callable[..., World], ref: str, cause: str, hint: str) -> None:
    """A REF that names nothing ends with 1 and says what is near."""
    here = world("3.3.2-commonio-sqlite", store=False)
    result = xcomctl("show", ref, *_db(here))
    assert (result.code, result.stdout) == (1, "")
    first, second = result.stderr.splitlines()
    assert first == f"error: {cause}"
    assert second.startswith(f"hint: {hint}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("a/b/c", "--head", "-1"),
        ("a/b/c", "--head", "many"),
        ("a/b/c", "-o", "csv"),
        ("a/b/c", "--columns", ","),
        ("a/b/c", "--rows", "5"),
        ("a/b/c", "--out", "file"),
        ("a/b/c", "--raw", "-o", "json"),
        ("xt_*/b/c", "--db", "sqlite:///nowhere.db"),
        (),
    ],
)
def test_usage_errors(xcomctl: Command, arguments: tuple[str, ...]) -> None:
    """A wrong command line ends with 2, a cause and a hint."""
    result = xcomctl("show", *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["error", "hint"]


@pytest.mark.parametrize("key", ["a +%:é b.json", "%2F%41", "+//x", "deep/ /key?#[*]"])
def test_odd_keys(
    xcomctl: Command, moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A key is taken as it stands, with spaces, percent signs, double slashes and all."""
    point_to(monkeypatch, moto_server)
    moto_server.create_bucket("odd")
    with closing(moto_server.client()) as client:
        client.put_object(Bucket="odd", Key=key, Body=b'{"found": true}')
    result = xcomctl("show", f"s3://odd/{key}", "-o", "json")
    assert (result.code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["preview"]["value"] == {"found": True}


def test_missing_object_and_dead_endpoint(
    xcomctl: Command, moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that is not there ends with 1, a store that does not answer with 7."""
    point_to(monkeypatch, moto_server)
    moto_server.create_bucket("empty")
    result = xcomctl("show", "s3://empty/nothing")
    assert result.code == 1
    assert result.stderr.splitlines()[0] == "error: there is no object s3://empty/nothing"
    result = xcomctl("show", "s3://empty/nothing", "--endpoint-url", f"http://127.0.0.1:{free_port()}")
    assert result.code == 7


def test_corrupt_object(xcomctl: Command, moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A truncated payload ends with 1, and its bytes can still be had."""
    point_to(monkeypatch, moto_server)
    moto_server.create_bucket("corrupt")
    with closing(moto_server.client()) as client:
        client.put_object(Bucket="corrupt", Key="x.json.gz", Body=gzip.compress(b"{}")[:-5])
    result = xcomctl("show", "s3://corrupt/x.json.gz")
    assert result.code == 1
    assert result.stderr.splitlines()[0].startswith("error: the gzip stream is truncated or corrupt")
    assert result.stderr.splitlines()[1] == "hint: --raw writes the bytes as they are stored"
    result = xcomctl("show", "s3://corrupt/x.json.gz", "--raw", "--out", "x")
    assert (result.code, (xcomctl.folder / "x").stat().st_size) == (0, len(gzip.compress(b"{}")) - 5)
