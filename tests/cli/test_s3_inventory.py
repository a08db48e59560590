"""`--inventory`: an S3 Inventory in the place of listing the store."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

from tests.cli.conversation import told
from tests.services.command import Command
from tests.services.deployment import DAY, Deploy, Deployment
from tests.services.s3_inventories import InventoryWriter
from xcomctl.units import format_time

HOUR = timedelta(hours=1)


def test_a_plan_says_from_which_inventory_it_is(xcomctl: Command, deploy: Deploy, tmp_path: Path) -> None:
    """In its document, and when it is saved, shown and applied like any other one."""
    here = _with_garbage(deploy)
    taken_at = datetime.now(timezone.utc) - HOUR
    uri = InventoryWriter(here.client, here.bucket).write("ORC", taken_at)
    said = f"note: objects as of {format_time(taken_at)}, from {uri}"
    file = str(tmp_path / "plan.xcp")
    options = (*here.options, "--inventory", uri)
    made = xcomctl("plan", *options, "--older-than", "30d", "--out", file, "-o", "json")
    document = json.loads(made.stdout)
    assert document["inventory"] == {"uri": uri, "created_at": format_time(taken_at)}
    assert (told(made)[0], len(document["actions"])) == (said, 3)
    assert said in told(xcomctl("plan", "show", file))
    result = xcomctl("apply", file, *here.options, "--yes", "-o", "json")
    outcome = json.loads(result.stdout)
    assert (result.code, outcome["objects"]["deleted"], outcome["objects"]["changed"]) == (0, 2, 0)
    check = xcomctl("fsck", *options)
    assert (check.code, told(check)) == (0, [said])
    again = xcomctl("gc", *options, "--dry-run", "-o", "json", "--quiet")
    assert (again.code, again.stderr, json.loads(again.stdout)["actions"]) == (0, "", [])


def test_an_inventory_that_does_not_fit_is_refused(xcomctl: Command, deploy: Deploy) -> None:
    """With a cause, what to type instead, and the exit code of its kind; nothing is deleted."""
    here = _with_garbage(deploy)
    writer = InventoryWriter(here.client, here.bucket)
    now = datetime.now(timezone.utc)
    old = writer.write("CSV", now - 15 * DAY)
    bare = writer.write("ORC", now - 2 * HOUR, without=("ETag",))
    before = here.state()
    for verb, uri, code in (
        (("gc", "--yes"), f"s3://{here.bucket}/inventories/", 2),
        (("fsck",), f"s3://{here.bucket}/inventories/manifest.json", 1),
        (("gc", "--yes"), old, 5),
        (("fsck",), bare, 2),
    ):
        result = xcomctl(*verb, *here.options, "--inventory", uri)
        cause, hint = told(result)[-2:]
        assert (result.code, result.stdout) == (code, ""), result.stderr
        assert (cause.startswith("error: "), hint.startswith("hint: ")) == (True, True)
    assert here.state() == before


def test_an_inventory_needs_a_store(xcomctl: Command, deploy: Deploy) -> None:
    """Without one there is nothing of which it could be a list."""
    here = deploy()
    result = xcomctl("fsck", "--db", here.database.url, "--inventory", f"s3://{here.bucket}/manifest.json")
    assert (result.code, told(result)[-1]) == (2, "hint: add --store s3://BUCKET")


def _with_garbage(deploy: Deploy) -> Deployment:
    """An expired row with its object, a live one, and an orphan."""
    here = deploy()
    here.push(run="old", age=40 * DAY, object_age=40 * DAY)
    here.push(run="new", age=2 * HOUR, object_age=2 * HOUR)
    here.upload(run="gone", age=3 * DAY)
    here.settle()
    return here
