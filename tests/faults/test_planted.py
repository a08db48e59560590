"""What is found is data: files that somebody planted, edited or cut short, and an oracle of all that must live."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.conftest import MakeScene
from tests.faults.estate import Estate
from tests.faults.planted import (
    AT_A_LIVE_OBJECT,
    BACKUPS,
    INVENTORIES,
    LOCK,
    LOCKS,
    OWNERS,
    PLANS,
    Backup,
    forged,
    inventory,
)
from tests.faults.scene import OLD, Scene, cause, outcome, run_here
from tests.services.command import Result
from xcomctl.errors import RefusedError


@pytest.fixture
def estate(scene: Scene) -> Estate:
    """All that must live, after a first collection."""
    return Estate(scene)


def _is_told(done: Result) -> bool:
    """Whether it ended with one error that says what to type, and none that nobody thought of."""
    lines = [line for line in done.stderr.splitlines() if line.startswith(("error: ", "hint: "))]
    return [line.partition(": ")[0] for line in lines[-2:]] == [
        "error",
        "hint",
    ] and "unexpected" not in done.stderr


def test_a_lock_that_is_none_stops_what_changes_something(estate: Estate) -> None:
    """It is refused by the name of the file, and nothing is deleted: who holds the lock cannot be told."""
    here = estate.scene.here
    told = f"s3://{here.bucket}/{here.prefix}/.xcomctl/lock.json "
    for make in LOCKS.values():
        estate.plant("lock.json", make(LOCK))
        with pytest.raises(RefusedError) as raised, here.operation():
            pass
        assert (str(raised.value).startswith(told), raised.value.hint is None) == (True, False)
    done = estate.scene.gc(*OLD)
    assert (done.code, _is_told(done), estate.is_untouched()) == (5, True, True), done.stderr
    estate.check()


def test_a_lock_for_ever_ends_an_hour_after_it_was_written(estate: Estate) -> None:
    """Who holds a lock renews it: what it says counts no longer than the store's own time of the file allows."""
    estate.plant("lock.json", json.dumps(LOCK).encode())
    done = estate.scene.gc(*OLD)
    assert (done.code, "mallory@worker" in cause(done), "9999" in done.stderr) == (5, True, False), (
        done.stderr
    )
    assert estate.is_untouched()
    here = estate.scene.here
    here._ages[here.bucket, f"{here.prefix}/.xcomctl/lock.json"] = here.began_at - timedelta(minutes=61)
    here.settle()
    done = estate.scene.gc(*OLD)
    assert (done.code, estate.scene.present(estate.orphan, estate.expired)) == (0, [False, False]), (
        done.stderr
    )
    estate.check()


def test_an_owner_marker_that_is_none_stops_a_collection(estate: Estate) -> None:
    """Exit 5, naming the file, and nothing is deleted: whose objects these are cannot be told."""
    found, own = {}, json.loads(estate.found("owner.json"))
    for name, make in OWNERS.items():
        estate.plant("owner.json", make(own))
        done = estate.scene.gc(*OLD)
        told = _is_told(done) and "/.xcomctl/owner.json" in cause(done)
        found[name] = (done.code, told, estate.is_untouched())
    assert found == dict.fromkeys(OWNERS, (5, True, True))


def test_a_forged_plan_is_refused_whole(estate: Estate, tmp_path: Path) -> None:
    """Exit 5 before anything is done, also for the rest of it, although every checksum fits."""
    path = tmp_path / "plan.xcp"
    estate.plan(str(path))
    saved, found = path.read_bytes(), {}
    for name, forge in PLANS.items():
        path.write_bytes(saved)
        forged(path, estate, forge)
        done = estate.scene.run("apply", str(path), "--yes")
        told = _is_told(done) and cause(done).endswith("nothing was done")
        found[name] = (done.code, told, estate.is_untouched())
    assert found == dict.fromkeys(PLANS, (5, True, True))
    estate.check()


def test_a_refused_plan_names_what_it_is_refused_for(estate: Estate, tmp_path: Path) -> None:
    """The first few of the objects, each with the reason, and how many there are."""
    path = tmp_path / "plan.xcp"
    estate.plan(str(path))
    forged(path, estate, PLANS["an object outside of the root"])
    uri = f"s3://{estate.scene.here.bucket}/finance/payroll.csv"
    why = f"{uri}: it lies outside of the stores of this command"
    assert cause(estate.scene.run("apply", str(path), "--yes")) == (
        "the plan is refused: 2 of its actions are about objects that are not this command's to touch:"
        f" {why}; {why}; nothing was done"
    )


def test_a_forged_plan_that_names_a_live_object_takes_nothing_that_a_row_needs(
    estate: Estate, tmp_path: Path
) -> None:
    """It is one that a plan could name: rows are asked again before it goes, and keep it."""

    path = tmp_path / "plan.xcp"
    estate.plan(str(path))
    forged(path, estate, AT_A_LIVE_OBJECT)
    done = estate.scene.run("apply", str(path), "--yes", "-o", "json")
    assert (done.code, outcome(done)["objects"]) == (0, {"referenced": 1}), done.stderr
    estate.check()


def test_a_forged_backup_writes_nothing_elsewhere(estate: Estate, tmp_path: Path) -> None:
    """A restore of it is refused, or leaves out what does not belong below the root; a dry run says the same."""
    scene, saved = estate.scene, tmp_path / "backup"
    assert scene.run("backup", "--to", str(saved), "--dag", "etl").code == 0
    scene.here.database.execute("DELETE FROM xcom")
    wrong = {}
    for number, (name, forge) in enumerate(BACKUPS.items()):
        folder = tmp_path / str(number)
        shutil.copytree(saved, folder)
        forge(Backup(folder), estate)
        ended = [scene.run("restore", str(folder), how, "-o", "json") for how in ("--dry-run", "--yes")]
        others = [scene.run("backup verify", str(folder)), scene.run("backup", "--to", str(folder))]
        codes = [done.code for done in ended + others]
        unexpected = [done.stderr for done in ended + others if "unexpected" in done.stderr]
        right = codes[0] == codes[1] in (3, 5) and codes[2] in (0, 4, 5) and codes[3] == 0
        if unexpected or not right or scene.here.refs():
            wrong[name] = (codes, unexpected)
    assert wrong == {}
    estate.check_objects()


def test_a_root_that_only_a_backup_names_gets_neither_lock_nor_journal(
    make_scene: MakeScene, tmp_path: Path
) -> None:
    """A journal holds values: it is written below the stores of this command alone."""
    scene = make_scene()
    scene.push()
    folder = tmp_path / "backup"
    assert scene.run("backup", "--to", str(folder)).code == 0
    backup = Backup(folder)
    backup.manifest["roots"] = [f"s3://{scene.here.bucket}/elsewhere", *backup.manifest["roots"]]
    backup.write_manifest()
    scene.here.database.execute("DELETE FROM xcom")
    done = scene.run("restore", str(folder), "--yes")
    assert (done.code, len(scene.here.refs())) == (0, 1), done.stderr
    assert {key for key in scene.here.all_keys() if key.startswith("elsewhere/")} == set()
    scene.oracle.check()


def test_an_operation_that_says_it_was_elsewhere_is_not_taken_back(estate: Estate) -> None:
    """Its undo would lock and write there, values among it: exit 5, and nothing is written but below the root."""
    [record] = estate.scene.log()
    name = f"journal/{record['id']}/began.json"
    began = json.loads(estate.found(name))
    for roots in ([f"s3://{estate.other_bucket}/{estate.root[1]}"], [f"s3://{estate.root[0]}"], []):
        estate.plant(name, json.dumps({**began, "roots": roots}).encode())
        for how in ("--dry-run", "--yes"):
            done = estate.scene.run("undo", record["id"], how)
            assert (done.code, _is_told(done), estate.is_untouched()) == (5, True, True), done.stderr
    estate.plant(name, json.dumps(began).encode())
    done = estate.scene.run("undo", record["id"], "--yes")
    assert done.code == 0, done.stderr


def test_a_forged_inventory_tells_nothing(tmp_path: Path) -> None:
    """Each question ends with one line and what to type, and shows nothing of another file."""
    page, wrong = tmp_path / "report.html", {}
    for number, (name, forge) in enumerate(INVENTORIES.items()):
        path = inventory(tmp_path / f"{number}.duckdb")
        forge(path)
        verbs = (("sql", "SELECT * FROM objects"), ("du",), ("report", "--out", str(page)))
        ended = [run_here(*verb, "--inventory", str(path)) for verb in verbs]
        # Only those who tell what it is of are bound to see that it does not say.
        right = all(_is_told(done) for done in ended if done.code) and all(done.code for done in ended[1:])
        if not right or any("root:" in done.stdout for done in ended) or page.exists():
            wrong[name] = [(done.code, done.stderr) for done in ended]
    assert wrong == {}


def test_a_whole_inventory_is_answered(tmp_path: Path) -> None:
    """The one that the forged ones were made of."""
    path = inventory(tmp_path / "inv.duckdb")
    done = run_here("sql", "SELECT count(*) AS n FROM objects", "--inventory", str(path), "-o", "csv")
    assert (done.code, done.stdout) == (0, "n\r\n0\r\n"), done.stderr
