"""Scenario 40: backups while tasks write and the tool collects, and a restore into nothing."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import pytest

from tests.faults.conftest import MakeScene
from tests.faults.oracle import objects_as_stored, rows_as_stored
from tests.faults.scene import OLD, Scene
from tests.services.store_faults import error, only


def test_40_a_backup_is_whole_while_others_write_and_collect(postgres_scene: Scene, tmp_path: Path) -> None:
    """Rows of one snapshot with all their objects; what is restored into an emptied Airflow has the same digests."""
    scene = postgres_scene
    for run in ("a", "b", "c"):
        scene.push(run=run)
    stop, wrote = Event(), Event()

    def write() -> None:
        for number in range(200):
            if stop.is_set():
                return
            scene.push("busy", f"r{number}")
            wrote.set()

    writer = Thread(target=write)
    writer.start()
    assert wrote.wait(30)
    gone = scene.expired()
    try:
        saved = scene.run("backup", "--to", str(tmp_path / "backup"))
        collected = scene.gc(*OLD)
    finally:
        stop.set()
        writer.join()
    assert (saved.code, collected.code, scene.present(gone)) == (0, 0, [False]), (
        saved.stderr + collected.stderr
    )
    scene.oracle.check()
    verified = scene.run("backup verify", str(tmp_path / "backup"))
    assert verified.code == 0, verified.stdout + verified.stderr


def test_40_a_restore_into_an_emptied_airflow_is_equal_by_digest(scene: Scene, tmp_path: Path) -> None:
    """Where only task instances are left everything of the backup comes back; a second restore changes nothing."""
    for run in ("a", "b", "c"):
        scene.push(run=run)
    scene.here.add_row("etl", "a", {"inline": [1.5, None, "\N{GRINNING FACE}"]}, name="inline")
    rows, objects = rows_as_stored(scene.here), objects_as_stored(scene.here)
    folder = str(tmp_path / "backup")
    assert scene.run("backup", "--to", folder).code == 0
    scene.here.database.execute("DELETE FROM xcom")
    for key in objects:
        scene.here.client.delete_object(Bucket=scene.here.bucket, Key=key)
    for _ in range(2):
        restored = scene.run("restore", folder, "--yes")
        assert restored.code == 0, restored.stderr
        assert (rows_as_stored(scene.here), objects_as_stored(scene.here)) == (rows, objects)
        scene.oracle.check()


def test_40_a_backup_that_was_cut_short_is_none(scene: Scene, tmp_path: Path) -> None:
    """The manifest comes last: without it there is no backup, and restore says so."""
    key = scene.push()
    scene.push(run="b")
    folder = tmp_path / "backup"
    with scene.proxy.with_faults(
        only(lambda asked: asked.method == "GET" and asked.path.endswith(key), error(503, "SlowDown"))
    ):
        saved = scene.run("backup", "--to", str(folder))
    assert saved.code in (3, 7), saved.stderr
    if saved.code == 7:
        restored = scene.run("restore", str(folder), "--yes")
        assert restored.code != 0, restored.stderr
    scene.oracle.check()


@pytest.mark.parametrize("collected", [False, True], ids=["kept", "collected"])
def test_40_a_backup_does_not_depend_on_what_happens_to_the_objects_later(
    make_scene: MakeScene, tmp_path: Path, collected: bool
) -> None:
    """What expires after the backup is in it: restore brings rows and objects back from there."""
    scene = make_scene()
    scene.push()
    scene.expired(name="k")
    rows, objects = rows_as_stored(scene.here), objects_as_stored(scene.here)
    folder = str(tmp_path / "backup")
    assert scene.run("backup", "--to", folder).code == 0
    if collected:
        assert scene.gc(*OLD, "--trash-keep", "0s").code == 0
    restored = scene.run("restore", folder, "--yes")
    assert restored.code == 0, restored.stderr
    assert (rows_as_stored(scene.here), objects_as_stored(scene.here)) == (rows, objects)
    scene.oracle.check()
