"""Scenarios 38 and 39: what a policy keeps, and rows and objects that come back bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.faults.conftest import MakeScene
from tests.faults.killing import Strike, finish_operation, run_under
from tests.faults.oracle import objects_as_stored, rows_as_stored
from tests.faults.scene import OLD, Scene, outcome
from tests.schemas.airflow_database import SHAPES, Shape
from tests.services.deployment import DAY
from tests.services.s3_requests import deletes
from tests.services.store_faults import only
from tests.services.sweeps import sweep

POLICY = """
[defaults]
older_than = "30d"
keep_last = 0
keep_last_per_key = 1
keep_failed = "90d"

[[rules]]
dag = "finance"
older_than = "365d"

[[pins]]
dag = "model"
run = "r1"
reason = "audit"
"""


def test_38_every_reason_to_keep_keeps(scene: Scene, tmp_path: Path) -> None:
    """The last value of a key, failed runs, pins, a longer rule, running runs: each row of them stays with its object."""
    goes = scene.push("etl", "r1", name="k", age=50 * DAY, stays=False)
    kept = [
        scene.push("etl", "r2", name="k", age=40 * DAY),
        scene.push("etl", "r1", name="only once", age=50 * DAY),
        scene.push("etl", "r3", name="k", age=45 * DAY, state="failed"),
        scene.push("etl", "r4", name="k", age=44 * DAY, state="running"),
        scene.push("finance", "r1", name="k", age=100 * DAY),
        scene.push("finance", "r2", name="k", age=50 * DAY),
        scene.push("model", "r1", name="k", age=400 * DAY),
        scene.push("model", "r2", name="k", age=40 * DAY),
    ]
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    done = scene.gc("--policy", str(policy))
    assert done.code == 0, done.stderr
    assert (scene.present(goes), scene.present(*kept)) == ([False], [True] * len(kept))
    scene.oracle.check()


def test_38_a_run_that_starts_again_while_its_rows_go_keeps_them(postgres_scene: Scene) -> None:
    """Between the plan and its rows the run is restarted: the deletion is on the condition that it is over."""
    scene = postgres_scene
    scene.push()
    key = scene.expired()
    assert scene.database is not None

    def restart(number: int, statement: str) -> None:
        if "FOR SHARE" in statement and scene.database is not None:
            scene.database.before = None
            scene.here.database.execute("UPDATE dag_run SET state = 'running' WHERE run_id = 'old'")

    scene.database.before = restart
    done = scene.gc(*OLD)
    assert (done.code, outcome(done)["rows"], scene.present(key)) == (0, {"run_active": 1}, [True]), (
        done.stderr
    )
    scene.oracle.check()


@pytest.mark.parametrize("shape", sweep(SHAPES, lambda shape: shape == "airflow-3.4"))
def test_39_after_a_crash_rows_and_objects_come_back_bit_for_bit(make_scene: MakeScene, shape: Shape) -> None:
    """Killed between the commit of the rows and the objects: settled by the next run, and undone to what it was."""
    scene = make_scene("sqlite", shape)
    scene.push()
    first = scene.expired(name="a")
    scene.expired(name="b")
    scene.here.add_row("etl", "old", {"inline": [1, None, "\N{GRINNING FACE}"]}, name="c", age=40 * DAY)
    rows, objects = rows_as_stored(scene.here), objects_as_stored(scene.here)
    strike = Strike(None)
    with scene.proxy.with_faults(only(deletes(first), strike.deadly(after=False), times=1)):
        run_under(scene, strike)
    assert (len(rows_as_stored(scene.here)), objects_as_stored(scene.here)) == (1, objects)
    finish_operation(scene)
    for operation in scene.log():
        undone = scene.run("undo", operation["id"], "--yes")
        assert undone.code == 0, undone.stderr
    back = {key: body for key, body in objects_as_stored(scene.here).items() if key in objects}
    assert (rows_as_stored(scene.here), back) == (rows, objects)
    scene.oracle.check()


def test_39_a_row_whose_task_instance_is_gone_is_reported(scene: Scene) -> None:
    """Nothing to belong to: the object comes back, the row is told about and not forced in, exit 3."""
    scene.push()
    key = scene.expired(name="k")
    assert scene.gc(*OLD).code == 0
    with scene.here.database.connection() as connection:
        connection.execute(sa.text("DELETE FROM task_instance WHERE run_id = 'old'"))
    undone = scene.run("undo", scene.log()[0]["id"], "--yes")
    assert (undone.code, scene.present(key)) == (3, [True]), undone.stderr
    assert "etl/old/load:k" in undone.stdout + undone.stderr
    scene.oracle.check()
