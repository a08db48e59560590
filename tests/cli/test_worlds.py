from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.services.command import Command
from tests.services.sweeps import sweep
from tests.services.worlds import BUCKET_WORLDS, World
from xcomctl.airflow.interface import Selection
from xcomctl.cli.options import ConnectionOptions
from xcomctl.look.codecs.interface import PreviewOptions
from xcomctl.look.preview import find, preview

# The objects of a world were all written just now: without a grace period they are judged by references alone.
NO_WAIT = ("--min-age", "0s", "--unsafe-min-age")


def connection(world: World, store: str) -> tuple[str, ...]:
    """Options that point the command to a world."""
    assert world.endpoint_url is not None
    return ("--db", world.db_url, "--store", store, "--endpoint-url", world.endpoint_url)


def expected_orphans(world: World, *, ignore_archives: bool) -> list[str]:
    """URIs of the objects that no row names, with or without those that archive tables name."""
    keys = set(world.truth["unreferenced_live"])
    if not ignore_archives:
        keys -= set(world.truth["of_these_named_only_by_archive_tables"])
    return sorted(f"s3://{world.bucket}/{key}" for key in keys)


_FEW = ("2.5.0-naive-sqlite", "2.11.2-commonio-pg-after-scenarios", "3.4.0b2-commonio-sqlite")


@pytest.mark.parametrize(
    ("name", "ignore_archives"),
    sweep(
        [
            pytest.param(name, ignored, id=f"{name}-{'without' if ignored else 'with'} archives")
            for name in BUCKET_WORLDS
            for ignored in (True, False)
        ],
        lambda name, ignored: name in _FEW and (ignored or name == _FEW[1]),
    ),
)
def test_fsck_and_gc_name_exactly_the_true_orphans(
    xcomctl: Command, world: Callable[..., World], name: str, ignore_archives: bool
) -> None:
    """On every database and bucket that Airflow wrote, what is called orphaned is what no row references."""
    here = world(name)
    options = (*NO_WAIT, *(["--ignore-archives"] if ignore_archives else []))
    orphans = expected_orphans(here, ignore_archives=ignore_archives)

    checked = xcomctl("fsck", *connection(here, f"s3://{here.bucket}"), *options, "-o", "ndjson")
    findings = [json.loads(line) for line in checked.stdout.splitlines()]
    assert (sorted(f["uri"] for f in findings), {f["finding"] for f in findings}) == (
        orphans,
        {"orphaned"} if orphans else set(),
    ), checked.stderr
    assert checked.code == (4 if orphans else 0)

    planned = xcomctl("gc", *connection(here, str(here.root)), *options, "--dry-run", "-o", "json")
    plan = json.loads(planned.stdout)
    assert (planned.code, sorted(action["uri"] for action in plan["actions"])) == (0, orphans)
    assert {action["action"] for action in plan["actions"]} <= {"delete_object"}
    totals = plan["totals"]
    assert (totals["objects_orphaned"], totals["objects_scanned"], totals["rows_dangling"]) == (
        len(orphans),
        len(here.keys),
        0,
    )


@pytest.mark.parametrize("name", sweep(BUCKET_WORLDS, lambda name: name in _FEW[1:]))
def test_after_gc_every_value_can_still_be_shown(
    xcomctl: Command, world: Callable[..., World], name: str
) -> None:
    """An apply removes the orphans, and every XCom of every attempt is still there."""
    here = world(name)
    options = (*connection(here, str(here.root)), *NO_WAIT, "--ignore-archives")
    applied = xcomctl("gc", *options, "--yes", "-o", "json")
    orphans = expected_orphans(here, ignore_archives=True)
    assert applied.code == 0, applied.stderr
    if orphans:
        outcome = json.loads(applied.stdout)
        done = {result: number for result, number in outcome["objects"].items() if number}
        assert done == {"deleted": len(orphans), "trashed": len(orphans)}
    again = xcomctl("fsck", *options, "-o", "ndjson")
    assert (again.code, again.stdout) == (0, "")

    flags = ConnectionOptions(db=here.db_url, store=[str(here.root)], endpoint_url=here.endpoint_url)
    with flags.open() as session:
        rows = list(session.source.rows(Selection(all_attempts=True)))
        for row in rows:
            preview(find(row.short_id, session), PreviewOptions())
    assert len(rows) == here.truth["live_rows"]
