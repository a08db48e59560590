"""Scenarios 07 to 13 and 15 to 18: databases that move rows, break off, go back in time, lag behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.faults.conftest import MakeScene
from tests.faults.scene import OLD, Scene, cause, outcome, run_here
from tests.schemas.airflow_database import AirflowDatabase
from tests.services.database_proxy import CutError, Fields
from tests.services.deployment import DAY
from tests.services.store_faults import clock_shifted
from tests.services.sweeps import sweep

ARCHIVE = "_airflow_deleted__xcom__20261101000000"
SEVERAL = 40
"""Rows of a table of which some do not come."""


"""How many of the moments of a collection are tried."""


def archive(scene: Scene, run: str, table: str = ARCHIVE) -> None:
    """The first step of `airflow db clean`: a copy of the rows, committed."""
    scene.here.database.execute(f"CREATE TABLE {table} AS SELECT * FROM xcom WHERE run_id = '{run}'")


def delete(scene: Scene, run: str) -> None:
    """Its second step: the rows are deleted, committed."""
    scene.here.database.execute("DELETE FROM xcom WHERE run_id = :run", run=run)


def statements_of_a_collection(scene: Scene) -> int:
    """How many statements the database gets in a collection that finds just one orphan."""
    assert scene.database is not None
    before = len(scene.database.statements)
    scene.upload()
    assert scene.gc().code == 0
    return len(scene.database.statements) - before


def move_rows(scene: Scene, run: str, table: str, *, archive_at: int, delete_at: int) -> Callable[[], None]:
    """Let `airflow db clean` do its steps right before these statements of the tool. The answer does what is left."""
    assert scene.database is not None
    begun = len(scene.database.statements)
    steps: list[tuple[int, Callable[[], None]]] = [
        (archive_at, lambda: archive(scene, run, table)),
        (delete_at, lambda: delete(scene, run)),
    ]

    def move(count: int, statement: str) -> None:
        while steps and steps[0][0] <= count - begun:
            steps.pop(0)[1]()

    scene.database.before = move

    def rest() -> None:
        assert scene.database is not None
        scene.database.before = None
        for _, step in steps:
            step()

    return rest


@pytest.mark.parametrize("moves", sweep([2, 6], lambda moves: moves == 2))
def test_07_rows_that_are_moved_to_an_archive_are_seen_before_or_after(
    postgres_scene: Scene, moves: int
) -> None:
    """Whenever `airflow db clean` moves rows in the meantime, no object of them becomes an orphan."""
    scene = postgres_scene
    scene.push()
    most = statements_of_a_collection(scene)
    points = [1 + most * step // moves for step in range(moves)]
    for number, (first, second) in enumerate(zip(points, [*points[1:], most], strict=True)):
        run = f"moved{number}"
        key = scene.push(run=run, name="k")
        scene.upload()
        scene.oracle.archived(f"etl/{run}/load:k")
        rest = move_rows(
            scene, run, f"_airflow_deleted__xcom__{number:014}", archive_at=first, delete_at=second
        )
        done = scene.gc()
        assert (done.code, scene.present(key)) == (0, [True]), (first, second, done.stderr)
        rest()
        scene.oracle.check()


def test_08_an_archive_that_is_made_and_dropped_leaves_no_dangling_row(scene: Scene) -> None:
    """`--skip-archive`, killed in the middle: rows in both tables are kept, rows in neither are orphans; none dangles."""
    scene.push()
    key = scene.push(run="cleaned", name="k")
    archive(scene, "cleaned")
    both = scene.gc()
    assert (both.code, scene.present(key)) == (0, [True])
    delete(scene, "cleaned")
    scene.oracle.archived("etl/cleaned/load:k")
    assert (scene.gc().code, scene.present(key)) == (0, [True])
    scene.oracle.check()
    scene.here.database.execute(f"DROP TABLE {ARCHIVE}")
    scene.oracle.forget("etl/cleaned/load:k")
    neither = scene.gc()
    assert (neither.code, scene.present(key), scene.here.dangling()) == (0, [False], set())
    scene.oracle.check()


def test_09_references_in_archives_count_and_pickles_are_not_loaded(
    make_scene: MakeScene, tmp_path: Path
) -> None:
    """All tables that releases of Airflow archived to; what a pickle mentions is kept, what it would do is not done."""
    scene = make_scene("sqlite", "airflow-2")
    scene.push()
    kept = []
    for run, table in (("a", ARCHIVE), ("b", f"{ARCHIVE}__b12")):
        kept.append(scene.push(run=run, name="k"))
        archive(scene, run, table)
        delete(scene, run)
        scene.oracle.archived(f"etl/{run}/load:k")
    pickled, trace = scene.upload(run="c"), tmp_path / "executed"
    hostile = b"cos\nsystem\n(S'touch %s # %s'\ntR." % (str(trace).encode(), scene.here.uri(pickled).encode())
    scene.here.database.execute("CREATE TABLE _xcom_archive AS SELECT * FROM xcom WHERE 0")
    with scene.here.database.connection() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO _xcom_archive (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp)"
                " SELECT dag_run_id, task_id, map_index, key, dag_id, run_id, :value, timestamp FROM xcom"
            ),
            {"value": hostile},
        )
    orphan = scene.upload()
    done = scene.gc()
    assert done.code == 0, done.stderr
    assert (scene.present(*kept, pickled, orphan), trace.exists()) == ([True, True, True, False], False)
    scene.oracle.check()


def with_many_rows(scene: Scene) -> tuple[set[str], set[str]]:
    """Rows enough that some of them may not come, an orphan, something expired; everything that is there."""
    for number in range(SEVERAL):
        scene.here.add_row("inline", "r1", {"number": number}, name=f"k{number}")
    scene.push()
    scene.expired()
    scene.upload()
    return scene.here.state()


def nth_row(number: int, act: Callable[[], Fields | None]) -> Callable[[str, Fields], Fields | None]:
    """Something happens to the `number`th row that any COPY gives, and to that one alone."""
    seen = 0

    def look(statement: str, fields: Fields) -> Fields | None:
        nonlocal seen
        if not statement.startswith("COPY"):
            return fields
        seen += 1
        return act() if seen == number else fields

    return look


def cut() -> Fields | None:
    """The connection breaks."""
    raise CutError


def lose() -> Fields | None:
    """The row does not come."""
    return None


def test_10_a_connection_that_breaks_in_the_scan_is_no_plan(postgres_scene: Scene) -> None:
    """Half of the rows came: exit 6, and nothing is deleted."""
    scene = postgres_scene
    before = with_many_rows(scene)
    assert scene.database is not None
    scene.database.row = nth_row(SEVERAL // 2, cut)
    done = scene.gc(*OLD)
    assert (done.code, done.stdout, scene.here.state()) == (6, "", before), done.stderr
    scene.oracle.check()


def test_10_a_connection_that_breaks_before_objects_go_keeps_them(postgres_scene: Scene) -> None:
    """Rows are read again before objects go; they do not come: exit 6, the objects stay, and the next run finishes."""
    scene = postgres_scene
    with_many_rows(scene)
    objects = scene.here.keys()
    assert scene.database is not None
    rows_once = SEVERAL + 2
    scene.database.row = nth_row(rows_once + SEVERAL // 2, cut)
    done = scene.gc(*OLD)
    assert (done.code, scene.here.keys()) == (6, objects), done.stderr
    scene.oracle.check()
    scene.database.row = None
    assert (scene.gc(*OLD).code, len(scene.here.keys())) == (0, len(objects) - 2)
    scene.oracle.check()


def test_10_a_statement_that_takes_too_long_is_no_plan(postgres_scene: Scene) -> None:
    """`statement_timeout`, while somebody holds the table: exit 6, and nothing is deleted."""
    scene = postgres_scene
    before = with_many_rows(scene)
    scene.here.source.close()
    name = scene.here.database.url.rpartition("/")[2]
    scene.here.database.execute(f"ALTER DATABASE {name} SET statement_timeout = '200ms'")
    with scene.here.database.connection() as holder:
        holder.execute(sa.text("LOCK TABLE xcom IN ACCESS EXCLUSIVE MODE"))
        done = scene.gc(*OLD)
    scene.here.database.execute(f"ALTER DATABASE {name} RESET statement_timeout")
    assert (done.code, done.stdout, scene.here.state()) == (6, "", before), done.stderr
    scene.oracle.check()


def test_11_a_result_that_ends_early_without_an_error_is_no_plan(postgres_scene: Scene) -> None:
    """One row is missing of those that the same snapshot counts: exit 6, and nothing is deleted."""
    scene = postgres_scene
    before = with_many_rows(scene)
    assert scene.database is not None
    scene.database.row = nth_row(SEVERAL, lose)
    done = scene.gc(*OLD)
    assert (done.code, scene.here.state()) == (6, before), done.stderr
    assert "short result, table xcom gave 41 rows of 42" in cause(done)
    scene.oracle.check()


def test_11_a_short_result_before_objects_go_keeps_them(postgres_scene: Scene) -> None:
    """The same, where rows are read again: the row that is missing might be the one that references the object."""
    scene = postgres_scene
    with_many_rows(scene)
    objects = scene.here.keys()
    assert scene.database is not None
    scene.database.row = nth_row(SEVERAL + 2 + 5, lose)
    done = scene.gc(*OLD)
    assert (done.code, scene.here.keys()) == (6, objects), done.stderr
    scene.oracle.check()


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_13_an_empty_database_is_refused(make_scene: MakeScene, engine: str) -> None:
    """A freshly migrated schema beside a full bucket: exit 5, with the guard's id and what to check."""
    scene = make_scene(engine)
    scene.upload()
    before = scene.here.state()
    done = scene.gc()
    assert (done.code, scene.here.state()) == (5, before)
    assert cause(done).startswith("refused by empty_database"), done.stderr
    assert "check --db and --store" in done.stderr


def test_13_a_database_that_is_not_there_or_not_airflows_is_an_error(scene: Scene, tmp_path: Path) -> None:
    """A path where nothing is, and a database without the tables: exit 6, and the path is not made."""
    scene.upload()
    before = scene.here.state()
    missing, other = tmp_path / "missing.db", tmp_path / "other.db"
    AirflowDatabase(f"sqlite:///{other}", "airflow-3").execute("CREATE TABLE notes (text TEXT)")
    for path in (missing, other):
        done = run_here("gc", "--db", f"sqlite:///{path}", *scene.options[2:], "--yes")
        assert (done.code, scene.here.state()) == (6, before), done.stderr
        assert str(path) in cause(done)
    assert not missing.exists()


def database_file(scene: Scene) -> Path:
    """The file of the scene's SQLite database."""
    return Path(scene.here.database.url.removeprefix("sqlite:///"))


def back_in_time(scene: Scene, tmp_path: Path, then: Callable[[], None]) -> None:
    """Restore the database to what it is now, after `then` happened and a younger run was written."""
    copy = tmp_path / "copy.db"
    shutil.copy(database_file(scene), copy)
    then()
    scene.push(run="younger", name="k")
    scene.upload()
    assert scene.gc().code == 0
    shutil.copy(copy, database_file(scene))
    scene.oracle.forget("etl/younger/load:k")


def test_15_a_database_that_went_back_is_refused_and_its_objects_come_back(
    scene: Scene, tmp_path: Path
) -> None:
    """A restored backup knows fewer runs than there were: exit 5. Accepted, its rows get their objects from the trash."""
    scene.push()
    body = scene.new_body()
    key = scene.expired(body=body)

    def collect() -> None:
        assert (scene.gc(*OLD).code, scene.present(key)) == (0, [False])

    back_in_time(scene, tmp_path, collect)
    refused = scene.gc()
    assert (refused.code, cause(refused).partition(":")[0]) == (5, "refused by older_database")
    accept = refused.stderr.rpartition("add ")[2].split()
    done = scene.gc(*accept)
    assert (done.code, outcome(done)["objects"]["restored"]) == (0, 1), done.stderr
    assert (scene.present(key), scene.here.dangling()) == ([True], set())
    scene.oracle.check()


def test_16_what_was_purged_before_a_restore_is_named_and_nothing_else_is_touched(
    scene: Scene, tmp_path: Path
) -> None:
    """Older than the trash reaches: fsck lists exactly the rows that lost their object; gc leaves them alone."""
    scene.push()
    scene.expired(name="k")

    def collect_and_purge() -> None:
        assert scene.gc(*OLD, "--trash-keep", "0s").code == 0

    back_in_time(scene, tmp_path, collect_and_purge)
    checked = scene.run("fsck", *("--min-age", "0s", "--unsafe-min-age"), "-o", "json")
    findings = [item for item in json.loads(checked.stdout)["findings"] if item["finding"] == "dangling"]
    assert [(item["run_id"], item["key"]) for item in findings] == [("old", "k")]
    refused = scene.gc()
    rows = scene.here.refs()
    done = scene.gc(*refused.stderr.rpartition("add ")[2].split())
    assert (done.code, scene.here.refs()) == (0, rows), done.stderr


def test_17_a_replica_is_refused(postgres_scene: Scene) -> None:
    """A server in recovery may lag behind: exit 5, whatever is to go."""
    scene = postgres_scene
    scene.push()
    scene.expired()
    before = scene.here.state()
    assert scene.database is not None
    scene.database.row = lambda statement, fields: [b"1"] if "pg_is_in_recovery" in statement else fields
    done = scene.gc(*OLD)
    assert (done.code, scene.here.state()) == (5, before), done.stderr
    assert cause(done).startswith("refused by replica")
    scene.oracle.check()


@pytest.mark.parametrize("prepared", [False, True], ids=["open", "prepared"])
def test_18_a_row_in_an_open_transaction_keeps_its_object(postgres_scene: Scene, prepared: bool) -> None:
    """The grace period grows by the age of the oldest transaction, also of a prepared one: its row is on its way."""
    scene = postgres_scene
    scene.push(name="first")
    # Behind by more than the store's times are rounded by: nothing here is old enough but for the transaction's age.
    scene.proxy.faults[-1] = clock_shifted(-2)
    engine = sa.create_engine(scene.here.database.url, poolclass=sa.pool.NullPool)
    body = scene.new_body()
    insert = (
        "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp)"
        " SELECT dag_run_id, task_id, map_index, 'late', dag_id, run_id, CAST(:value AS jsonb), timestamp"
        " FROM xcom WHERE key = 'first'"
    )
    with closing(engine.raw_connection()) as raw:
        writer = raw.cursor()
        writer.execute("BEGIN")
        key = scene.upload(body=body)
        writer.execute(insert.replace(":value", "%s"), [json.dumps(scene.here.uri(key))])
        if prepared:
            writer.execute("PREPARE TRANSACTION 'late'")
        done = scene.gc()
        assert (done.code, scene.present(key)) == (0, [True]), done.stderr
        writer.execute("COMMIT PREPARED 'late'" if prepared else "COMMIT")
        writer.close()
    engine.dispose()
    scene.oracle.wrote("etl/new/load:late", key, body)
    scene.oracle.check()


def test_18_a_transaction_that_is_forgotten_is_refused(postgres_scene: Scene) -> None:
    """Open for more than a day: exit 5 even for orphans that are older, since nobody knows what it will commit."""
    scene = postgres_scene
    scene.push()
    scene.here.upload("etl", "gone", age=5 * DAY)
    scene.here.settle()
    before = scene.here.state()
    days_ago = (datetime.now(timezone.utc) - timedelta(days=2)).timestamp()
    assert scene.database is not None
    scene.database.row = lambda statement, fields: (
        [str(int(days_ago * 1_000_000)).encode()] if "pg_prepared_xacts" in statement else fields
    )
    done = scene.gc(*OLD)
    assert (done.code, scene.here.state()) == (5, before), done.stderr
    assert cause(done).startswith("refused by open_transaction")
