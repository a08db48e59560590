"""An operation is taken back: rows and objects as they were, bit for bit, or a word on why not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.conformance.trash_bench import (
    KINDS,
    MakeBench,
    bench,
    journal_of,
    left_in_trash,
    make_bench,
    objects_of,
    rows_of,
    trash_of,
)
from tests.schemas.airflow_database import SHAPES, Shape
from tests.services.deployment import DAY, MONTH, Deployment, two_runs
from tests.services.interposed import Died, Interposed
from tests.services.sweeps import of_each, sweep
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import RefusedError
from xcomctl.state.journal import OperationRecord
from xcomctl.state.undo import Undone, preview, require_same_database, undo

__all__ = ["bench", "make_bench"]


def undone(here: Deployment, command: str = "gc") -> Undone:
    """Take back the one operation of this command."""
    found = Undone()
    with here.operation(command="undo") as operation:
        undo(the_one(here, command), operation, here.store, DialectRegistry(), found)
    return found


def the_one(here: Deployment, command: str = "gc") -> OperationRecord:
    """The one operation of this command. Operations of one second are in no order."""
    (record,) = (record for record in journal_of(here) if record.command == command)
    return record


def counts(found: Undone) -> tuple[dict[str, int], dict[str, int]]:
    """What became of rows and objects."""
    return dict(found.rows), dict(found.objects)


def test_a_collection_is_taken_back_bit_for_bit(bench: Deployment) -> None:
    """Objects first, then the rows that name them; a second time there is nothing to do."""
    two_runs(bench)
    bench.upload()
    bench.add_row("etl", "old", {"text": 'é " \\ 1e400'}, name="inline", age=40 * DAY)
    before = objects_of(bench), rows_of(bench)
    bench.apply(bench.plan(MONTH))
    assert rows_of(bench) != before[1]
    expected = preview(the_one(bench), bench.store)
    assert counts(expected) == ({"inserted": 2}, {"restored": 2})
    assert counts(undone(bench)) == ({"inserted": 2}, {"restored": 2})
    assert (objects_of(bench), rows_of(bench)) == before
    assert (bench.dangling(), left_in_trash(bench)) == (set(), set())
    again = undone(bench)
    assert counts(again) == ({"identical": 2}, {"there": 2})
    assert (again.missing, (objects_of(bench), rows_of(bench))) == (0, before)


@pytest.mark.parametrize(
    ("engine", "shape"),
    sweep([(engine, shape) for engine in ("sqlite", "postgres") for shape in SHAPES], of_each),
)
def test_rows_of_every_shape_come_back(make_bench: MakeBench, engine: str, shape: Shape) -> None:
    """All columns, in the tables of every generation of Airflow."""
    here = make_bench("moto_server", engine, shape)
    two_runs(here)
    before = rows_of(here)
    here.apply(here.plan(MONTH))
    assert len(rows_of(here)) == 1
    assert counts(undone(here)) == ({"inserted": 1}, {"restored": 1})
    assert rows_of(here) == before


def test_what_cannot_come_back_is_told(make_bench: MakeBench) -> None:
    """By kind: another value, another object, no task instance, purged; all else comes back."""
    here = make_bench("moto_server")
    for task in ("taken", "lonely", "fine"):
        here.push(run="old", age=40 * DAY, task=task)
    here.push(run="new")
    purged, occupied = here.upload(), here.upload()
    here.apply(here.plan(MONTH))
    here.add_row("etl", "old", "another value", task="taken")
    here.database.execute("DELETE FROM task_instance WHERE task_id = 'lonely'")
    here.client.put_object(Bucket=here.bucket, Key=occupied, Body=b"another object")
    with here.operation(command="trash purge") as operation:
        operation.purge([entry for entry in trash_of(here) if entry.original.key == purged])
    found = undone(here)
    assert counts(found) == (
        {"conflict": 1, "no_task_instance": 1, "inserted": 1},
        {"gone": 1, "occupied": 1, "restored": 3},
    )
    assert found.examples == {
        "conflict": ["etl/old/taken:return_value"],
        "no_task_instance": ["etl/old/lonely:return_value"],
        "gone": [f"s3://{here.bucket}/{purged}"],
        "occupied": [f"s3://{here.bucket}/{occupied}"],
    }
    assert (found.missing, the_one(here, "undo").state) == (4, "partial")
    assert here.dangling() == set()


def test_a_row_does_not_come_back_without_its_object(make_bench: MakeBench) -> None:
    """Without a trash only values that are in the rows themselves can come back."""
    here = make_bench("moto_server")
    two_runs(here)
    here.add_row("etl", "old", {"rows": 3}, name="inline", age=40 * DAY)
    here.apply(here.plan(MONTH), trash_keep=timedelta(0))
    found = undone(here)
    assert counts(found) == ({"no_object": 1, "inserted": 1}, {"deleted": 1})
    assert found.examples["no_object"] == ["etl/old/load:return_value"]
    assert here.dangling() == set()


@pytest.mark.parametrize(
    ("kind", "method"),
    sweep(
        [(kind, method) for method in ("copy", "delete") for kind in KINDS],
        lambda *case: case in (("seaweed", "copy"), ("moto_server versions", "delete")),
    ),
)
def test_an_operation_that_was_killed_is_taken_back(make_bench: MakeBench, kind: str, method: str) -> None:
    """After the copy and before the deletion, or after the deletion and before its outcome: all comes back."""
    here = make_bench(kind)
    two_runs(here)
    orphan = here.upload()
    before = objects_of(here), rows_of(here)
    plan = here.plan(MONTH)
    dead = False

    def die(objects: Any, *_: Any) -> None:
        nonlocal dead
        if dead or any(_key(one) == orphan for one in objects):
            dead = True
            raise Died

    killed: Any = Interposed(here.store, after={method: die})
    try:
        here.apply(plan, store=killed)
    except Died:
        here.client.delete_object(Bucket=here.bucket, Key=f"{here.prefix}/.xcomctl/lock.json")
    with here.operation(command="settle"):
        pass
    found = undone(here)
    assert ((objects_of(here), rows_of(here)), found.missing) == (before, 0)


def _key(one: Any) -> str:
    source = getattr(one, "source", one)
    return str(source.address.key)


def test_an_operation_on_another_database_is_not_taken_back(make_bench: MakeBench) -> None:
    """Its rows belong elsewhere."""
    here, other = make_bench("moto_server"), make_bench("moto_server")
    two_runs(here)
    here.apply(here.plan(MONTH))
    with pytest.raises(RefusedError, match="was on another database"):
        require_same_database(the_one(here), other.source)
