"""`xcomctl gc`: plans and outcomes as people and programs read them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO

import pytest

from tests.cli.conversation import told
from tests.services.command import Command
from tests.services.deployment import NO_WAIT, Deployment
from tests.services.worlds import World
from xcomctl.gc.guards import GUARD_IDS
from xcomctl.gc.plan_actions import PUBLIC_COLUMNS
from xcomctl.inventory.unfinished_uploads import UPLOAD_STATES

TOTALS = [
    "rows_scanned",
    "rows_expired",
    "rows_dangling",
    "objects_scanned",
    "objects_live",
    "objects_expired",
    "objects_orphaned",
    "objects_recent",
    "objects_foreign",
    "bytes_reclaimed",
    *(f"uploads_{state}" for state in UPLOAD_STATES),
    *(f"upload_bytes_{state}" for state in UPLOAD_STATES),
]


def test_the_plan_as_a_document(xcomctl: Command, here: Deployment) -> None:
    """Exactly the documented members, and numbers that agree with each other."""
    before = here.state()
    done = xcomctl("gc", *here.options, *NO_WAIT, "--older-than", "30d", "--dry-run", "-o", "json")
    plan = json.loads(done.stdout)
    assert (done.code, here.state()) == (0, before)
    assert list(plan) == [
        "schema",
        "plan_id",
        "created_at",
        "scope",
        "database",
        "endpoint",
        "snapshot_at",
        "cutoff",
        "policy_digest",
        "tool_version",
        "inventory",
        "claims",
        "inside",
        "totals",
        "guards",
        "notes",
        "actions",
    ]
    assert plan["database"] == {"identity": here.source.identity(), "label": here.source.info().label}
    assert (plan["schema"], plan["scope"]) == (
        "xcomctl.plan/1",
        {
            "roots": [here.root],
            "dag": None,
            "older_than": "30d",
            "keep_last": 1,
            "orphans": True,
            "uploads": True,
            "ignore_archives": False,
            "min_age": "0s",
            "max_share": 0.5,
            "trash_keep": "14d",
            "backup_to": None,
            "shard": None,
        },
    )
    totals, actions = plan["totals"], plan["actions"]
    assert (list(totals), [guard["id"] for guard in plan["guards"]]) == (TOTALS, list(GUARD_IDS))
    assert {tuple(guard) for guard in plan["guards"]} == {("id", "ok", "value", "limit")}
    assert all(guard["ok"] is True for guard in plan["guards"])
    assert {tuple(action) for action in actions} == {PUBLIC_COLUMNS}
    objects = [action for action in actions if action["action"] == "delete_object"]
    assert [action["action"] for action in actions] == ["delete_row", "delete_object", "delete_object"]
    assert totals == {
        "rows_scanned": 3,
        "rows_expired": 1,
        "rows_dangling": 1,
        "objects_scanned": 4,
        "objects_live": 1,
        "objects_expired": 1,
        "objects_orphaned": 1,
        "objects_recent": 0,
        "objects_foreign": 1,
        "bytes_reclaimed": sum(action["size"] for action in objects),
        **dict.fromkeys(TOTALS[10:], 0),
    }
    row = actions[0]
    assert row["uri"] in {action["uri"] for action in objects}
    assert (row["dag_id"], row["run_id"], row["task_id"], row["map_index"], row["key"]) == (
        "etl",
        "old",
        "load",
        -1,
        "return_value",
    )
    assert {action["reason"].partition(":")[0] for action in actions} == {"expired", "orphaned"}


def test_other_formats_of_a_plan_and_of_its_outcome(xcomctl: Command, here: Deployment) -> None:
    """One action a line for programs; applied, what became of them; nothing to do is said in the same words."""
    options = ("gc", *here.options, *NO_WAIT, "--older-than", "30d")
    lines = xcomctl(*options, "--dry-run", "-o", "ndjson").stdout.splitlines()
    assert [tuple(json.loads(line)) for line in lines] == [PUBLIC_COLUMNS] * 3
    table = list(csv.DictReader(StringIO(xcomctl(*options, "--dry-run", "-o", "csv").stdout)))
    assert [row["action"] for row in table] == ["delete_row", "delete_object", "delete_object"]
    chosen = xcomctl(*options, "--dry-run", "--template", "{action} {size}").stdout
    assert chosen.splitlines()[1:] == ["delete_object 11", "delete_object 11"]
    narrow = xcomctl.on_terminal(*options, "--dry-run").stdout
    words = [line for line in narrow.splitlines() if "s3://" not in line and "old" not in line]
    assert (max(map(len, words)) <= 80, "objects to delete:" in narrow) == (True, True)

    applied = xcomctl(*options, "--yes", "-o", "json")
    outcome = json.loads(applied.stdout)
    assert list(outcome) == [
        "schema",
        "plan_id",
        "rows",
        "objects",
        "uploads",
        "bytes_reclaimed",
        "bytes_aborted",
        "failures",
        "operation_id",
    ]
    (logged,) = json.loads(xcomctl("log", *here.options, "-o", "json").stdout)
    assert (logged["id"], logged["command"]) == (outcome["operation_id"], "gc")
    assert (outcome["rows"]["deleted"], outcome["objects"]["deleted"], outcome["bytes_reclaimed"]) == (
        1,
        2,
        22,
    )
    again = xcomctl(*options, "--yes", "-o", "csv")
    assert (again.code, told(again)) == (0, ["note: nothing to collect"])
    assert {row["count"] for row in csv.DictReader(StringIO(again.stdout))} == {"0"}


@pytest.mark.parametrize("name", ["3.3.2-commonio-sqlite"])
def test_on_what_airflow_wrote_only_expired_and_orphaned_things_go(
    xcomctl: Command, world: Callable[..., World], name: str
) -> None:
    """With everything expired but the newest runs, what is left fits together."""
    there = world(name)
    options = ("--db", there.db_url, "--store", str(there.root), "--endpoint-url", str(there.endpoint_url))
    done = xcomctl("gc", *options, *NO_WAIT, "--older-than", "1s", "--yes", "-o", "json")
    assert (done.code, json.loads(done.stdout)["objects"]["failed"]) == (0, 0)
    assert xcomctl("fsck", *options, *NO_WAIT).code == 0
