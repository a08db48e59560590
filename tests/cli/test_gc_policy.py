"""`xcomctl gc --policy`: what a policy file decides beside retention."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conversation import told
from tests.services.command import Command
from tests.services.deployment import DAY, NO_WAIT, Deploy, Deployment


def _policy(xcomctl: Command, text: str) -> str:
    path = xcomctl.folder / "policy.toml"
    path.write_text(text)
    return str(path)


def test_flags_go_before_the_file_and_the_file_before_defaults(xcomctl: Command, here: Deployment) -> None:
    """Each setting by itself: orphans, grace period, share, trash."""
    policy = _policy(
        xcomctl,
        '[defaults]\nolder_than = "30d"\n'
        '[orphans]\ncollect = false\nmin_age = "3h"\nmax_share = 0.25\n'
        '[trash]\nkeep = "3d"\n',
    )

    def scope(*flags: str) -> tuple[object, ...]:
        done = xcomctl("gc", *here.options, "--policy", policy, "--dry-run", "-o", "json", "-q", *flags)
        found = json.loads(done.stdout)["scope"]
        return tuple(found[name] for name in ("orphans", "min_age", "max_share", "trash_keep", "dag"))

    assert scope() == (False, "3h", 0.25, "3d", None)
    flags = ("--orphans", "--min-age", "5h", "--trash-keep", "0s", "--dag", "etl")
    assert scope(*flags) == (True, "5h", 0.25, "0s", "etl")


def test_what_expires_is_backed_up_before(xcomctl: Command, here: Deployment) -> None:
    """The rows that go and their objects are in a backup that can be verified; other rows are not."""
    policy = _policy(xcomctl, '[defaults]\nolder_than = "30d"\n[backup]\nto = "saved"\n')
    before = here.state()
    tried = xcomctl("gc", *here.options, "--policy", policy, "--dry-run")
    assert (tried.code, (xcomctl.folder / "saved").exists()) == (0, False)
    done = xcomctl("gc", *here.options, "--policy", policy, "--yes")
    assert (done.code, len(here.refs())) == (0, len(before[1]) - 1)
    assert any(line.startswith("note: what goes is in the backup saved@") for line in told(done))
    verified = xcomctl("backup", "verify", "saved", *here.options, "-o", "json")
    assert (
        verified.code,
        [p.name for p in Path(xcomctl.folder, "saved", "objects").rglob("*") if p.is_file()] != [],
    ) == (0, True)


def test_without_the_backup_nothing_goes(xcomctl: Command, here: Deployment) -> None:
    """A place that cannot be written stops the collection before the first deletion."""
    policy = _policy(xcomctl, '[defaults]\nolder_than = "30d"\n[backup]\nto = "policy.toml"\n')
    before = here.state()
    done = xcomctl("gc", *here.options, "--policy", policy, "--yes")
    assert (done.code != 0, told(done)[-2].startswith("error: "), here.state()) == (True, True, before)


@pytest.mark.parametrize("keep", ["14d", "0s"])
def test_the_trash_is_purged_when_its_time_has_come(xcomctl: Command, deploy: Deploy, keep: str) -> None:
    """`--trash-keep 0s` leaves nothing behind, and purges what an earlier run left; otherwise it waits."""
    here = deploy()
    here.push(run="new")
    here.push(run="old", age=40 * DAY)
    options = ("gc", *here.options, *NO_WAIT, "--older-than", "30d", "--yes")
    assert (xcomctl(*options).code, len(here.trashed())) == (0, 1)
    here.push(run="old2", age=40 * DAY)
    done = xcomctl(*options, "--trash-keep", keep, "-o", "json")
    outcome = json.loads(done.stdout)["objects"]
    assert (done.code, outcome["deleted"]) == (0, 1)
    assert (outcome["purged"] > 0, len(here.trashed())) == ((True, 0) if keep == "0s" else (False, 2))
