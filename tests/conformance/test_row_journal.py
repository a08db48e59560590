"""The journal of rows: columns in Parquet, read and undone like the lines of earlier releases, settled after any kill."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conformance.bench import Bench
from tests.conformance.test_journal import begin, bench, told
from tests.conformance.test_undo import counts, the_one, undone
from tests.conformance.trash_bench import MakeBench, journal_of, make_bench, rows_of
from tests.services.deployment import DAY, MONTH, Deployment
from tests.services.interposed import Died, Interposed, dies, nth
from xcomctl.airflow import deletion
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import RefusedError, SourceError
from xcomctl.gc.apply import Outcome
from xcomctl.models import Root
from xcomctl.s3.documents import encode_lines
from xcomctl.state.journal import steps, unfinished
from xcomctl.state.undo import Undone, undo

__all__ = ["bench", "make_bench"]


def _many(here: Deployment, number: int = 34) -> None:
    """So many rows of an old run that have their value in themselves, and one of a new run."""
    for index in range(number):
        here.add_row("etl", "old", {"n": index}, name=f"k{index:02}", age=40 * DAY)
    here.add_row("etl", "new", 1)


def _objects(here: Deployment) -> list[str]:
    """Keys of the objects in the journal of the collection, below its folder."""
    folder = f"/.xcomctl/journal/{the_one(here).id}/"
    return sorted(key.partition(folder)[2] for key in here.all_keys() if folder in key)


def _folder(here: Deployment) -> str:
    return f"{Root.parse(here.root).prefix}.xcomctl/journal/{the_one(here).id}/"


def test_the_journal_of_an_earlier_release_is_undone(make_bench: MakeBench) -> None:
    """Its rows are lines of JSON, and its beginning has an older schema: every row comes back, as from columns."""
    here = make_bench("moto_server")
    _many(here)
    before = rows_of(here)
    here.apply(here.plan(MONTH))
    assert _objects(here) == [
        "000001-delete_rows-intent.parquet",
        "000001-outcome.parquet",
        "began.json",
        "ended.json",
    ]
    folder = _folder(here)
    (step,) = steps(here.store, the_one(here))
    for name, entries in (("delete_rows-intent", step.intent), ("outcome", step.outcome or ())):
        here.client.put_object(
            Bucket=here.bucket, Key=f"{folder}000001-{name}.ndjson.gz", Body=encode_lines(entries)
        )
        here.client.delete_object(Bucket=here.bucket, Key=f"{folder}000001-{name}.parquet")
    began = here.client.get_object(Bucket=here.bucket, Key=f"{folder}began.json")["Body"].read()
    older = began.replace(b"xcomctl.operation/2", b"xcomctl.operation/1")
    assert older != began
    here.client.put_object(Bucket=here.bucket, Key=f"{folder}began.json", Body=older)
    assert list(steps(here.store, the_one(here))) == [step]
    assert counts(undone(here)) == ({"inserted": 34}, {})
    assert rows_of(here) == before


def test_a_kill_between_two_transactions_of_a_step_is_settled(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed is told as deleted, and comes back; what was not is told as not done."""
    monkeypatch.setattr(deletion, "_ROWS_AT_MOST", 10)
    here = make_bench("moto_server")
    _many(here)
    before = rows_of(here)
    killed: Any = Interposed(here.source, after={"delete_rows": nth(2, dies)})
    with suppress(Died):
        here.apply(here.plan(MONTH), source=killed)
    assert (len(rows_of(here)), [one.state for one in unfinished(here.store, [Root.parse(here.root)])]) == (
        15,
        ["unfinished"],
    )
    with here.operation(command="next"):
        pass
    (step,) = steps(here.store, the_one(here))
    results = [entry["result"] for entry in step.outcome or ()]
    assert (results.count("deleted"), results.count("not_done")) == (20, 14)
    assert the_one(here).summary["rows"] == 20
    assert "000001-outcome.parquet" in _objects(here)
    assert counts(undone(here)) == ({"inserted": 20}, {})
    assert rows_of(here) == before


def test_what_was_committed_before_an_error_is_counted(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away after the second of four transactions: the outcome has the rows of two."""
    monkeypatch.setattr(deletion, "_ROWS_AT_MOST", 10)
    here = make_bench("moto_server")
    _many(here)

    def lose(*_: Any, **__: Any) -> None:
        raise SourceError("the database is gone")

    losing: Any = Interposed(here.source, before={"delete_rows": nth(3, lose)})
    outcome = Outcome()
    with pytest.raises(SourceError):
        here.apply(here.plan(MONTH), source=losing, outcome=outcome)
    assert (dict(outcome.rows), len(rows_of(here))) == ({"deleted": 20}, 15)


def test_a_run_that_was_run_again_in_part_keeps_its_rows(make_bench: MakeBench) -> None:
    """Between plan and apply a task of the run was cleared and ran again: what the plan judged is not true any more."""
    here = make_bench("moto_server")
    _many(here, 3)
    plan = here.plan(MONTH)
    before = rows_of(here)
    here.database.execute(
        "UPDATE dag_run SET end_date = :now WHERE run_id = 'old'",
        now=f"{here.began_at:%Y-%m-%d %H:%M:%S.%f}",
    )
    outcome = Outcome()
    here.apply(plan, outcome=outcome)
    assert (dict(outcome.rows), rows_of(here)) == ({"changed": 3}, before)
    assert here.plan(MONTH).action_counts()["delete_row"] == 0


def test_undo_of_many_rows_survives_one_odd_row(make_bench: MakeBench) -> None:
    """A trigger alters one row on its way in: it is counted and named, and the other 33 come back."""
    here = make_bench("moto_server")
    _many(here)
    here.apply(here.plan(MONTH))
    here.database.execute(
        "CREATE TRIGGER odd AFTER INSERT ON xcom WHEN NEW.key = 'k17'"
        " BEGIN UPDATE xcom SET value = '0' WHERE rowid = NEW.rowid; END"
    )
    found = undone(here)
    assert counts(found) == ({"inserted": 33, "misfit": 1}, {})
    assert found.examples == {"misfit": ["etl/old/load:k17"]}
    assert (found.missing, the_one(here, "undo").state, len(rows_of(here))) == (1, "partial", 34)


def test_undo_of_many_rows_survives_one_damaged_record(make_bench: MakeBench) -> None:
    """Somebody edited the record of one row so that it is none: it is counted and named, the others come back."""
    here = make_bench("moto_server")
    _many(here)
    here.apply(here.plan(MONTH))
    (step,) = steps(here.store, the_one(here))
    folder = _folder(here)
    for change in (
        {"columns": None},
        {"columns": {"value": {"$bytes": "!"}}},
        {"map_index": "x"},
        {"key": 1},
    ):
        entries = [{**entry, **change} if entry["key"] == "k17" else entry for entry in step.intent]
        for name, lines in (("delete_rows-intent", entries), ("outcome", step.outcome or ())):
            here.client.put_object(
                Bucket=here.bucket, Key=f"{folder}000001-{name}.ndjson.gz", Body=encode_lines(lines)
            )
            here.client.delete_object(Bucket=here.bucket, Key=f"{folder}000001-{name}.parquet")
        with here.operation(command="again") as operation:
            found = Undone()
            undo(the_one(here), operation, here.store, DialectRegistry(), found)
        assert (found.rows["misfit"], found.missing, found.rows["inserted"] + found.rows["identical"]) == (
            1,
            1,
            33,
        )
        (named,) = found.examples["misfit"]
        assert "k17" in named


def test_columns_that_are_damaged_are_named(bench: Bench) -> None:
    """Cut short at any place, a byte that flipped, another file: an error that names the object, never a shorter step."""
    root = Root(bench.bucket)
    journal = begin(bench, [root])
    entries = pa.table({"table": ["xcom"] * 500, "row_key": [f"[{n}]" for n in range(500)]})
    journal.intent("delete_rows", entries)
    name = f".xcomctl/journal/{journal.operation_id}/000001-delete_rows-intent.parquet"
    whole = bench.client.get_object(Bucket=bench.bucket, Key=name)["Body"].read()
    (record,) = told(bench)
    (step,) = steps(bench.store, record)
    assert step.intent == entries.to_pylist()
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 1
    for body in (b"", b"PAR1", whole[:-1], whole[: len(whole) // 2], bytes(flipped), gzip.compress(b"{}\n")):
        bench.put(name, body)
        with pytest.raises(RefusedError, match=r"000001-delete_rows-intent\.parquet is damaged"):
            list(steps(bench.store, record))


def test_columns_of_a_newer_release_are_refused(bench: Bench) -> None:
    """Rows of a form that is not known are not guessed at."""
    root = Root(bench.bucket)
    journal = begin(bench, [root])
    said = json.dumps({"schema": "xcomctl.rows/9", "forms": {}}).encode()
    journal.intent("delete_rows", pa.table({"table": ["xcom"]}).replace_schema_metadata({b"xcomctl": said}))
    (record,) = told(bench)
    with pytest.raises(RefusedError, match=r"by another release of xcomctl \(xcomctl.rows/9\)"):
        list(steps(bench.store, record))


def test_a_step_in_two_forms_is_refused(bench: Bench) -> None:
    """An outcome has the form of its intent: somebody put another one beside it."""
    root = Root(bench.bucket)
    journal = begin(bench, [root])
    journal.intent("delete_rows", [{"row_key": "1"}])
    journal.outcome(1, [{"result": "deleted"}])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"result": ["changed"]}), sink)
    folder = f".xcomctl/journal/{journal.operation_id}/"
    for name in ("000001-outcome.parquet", "000001-delete_rows-intent.parquet"):
        bench.put(folder + name, sink.getvalue().to_pybytes())
        (record,) = told(bench)
        with pytest.raises(RefusedError, match="step 1 is there in two forms"):
            list(steps(bench.store, record))
        bench.client.delete_object(Bucket=bench.bucket, Key=folder + name)


def test_an_outcome_that_is_settled_has_the_form_of_its_intent(make_bench: MakeBench) -> None:
    """So that nobody who was paused can write a second one beside it."""
    here = make_bench("moto_server")
    _many(here, 2)
    killed: Any = Interposed(here.source, before={"delete_rows": dies})
    with suppress(Died):
        here.apply(here.plan(MONTH), source=killed)
    with here.operation(command="next"):
        pass
    assert _objects(here)[:2] == ["000001-delete_rows-intent.parquet", "000001-outcome.parquet"]
    assert [record.state for record in journal_of(here) if record.command == "gc"] == ["interrupted"]
