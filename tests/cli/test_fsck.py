"""`xcomctl fsck` as people and programs run it."""

from __future__ import annotations

import csv
import json
import re
from io import StringIO
from uuid import uuid4

import pytest

from tests.services.command import Command
from tests.services.deployment import DAY, NO_WAIT, Deploy, Deployment
from xcomctl.demo.server import SeaweedFS
from xcomctl.inventory.unfinished_uploads import UPLOAD_STATES

KEYS = ["finding", "uri", "dag_id", "run_id", "task_id", "map_index", "key", "size", "last_modified"]


@pytest.fixture
def here(deploy: Deploy) -> Deployment:
    """One finding of each kind beside a row that is as it should be."""
    made = deploy()
    made.push()
    made.push("lost", key=f"{made.prefix}/lost/r1/load/{uuid4()}")
    made.add_row("far", "r1", f"s3://aws_default@elsewhere/xcom/far/r1/load/{uuid4()}")
    made.upload(run="gone", age=DAY * 2)
    made.upload(run="just now")
    made.upload(key=f"{made.prefix}/READ ME + %20é.txt")
    made.settle()
    return made


def test_findings_as_records(xcomctl: Command, here: Deployment) -> None:
    """One finding a line with exactly the documented members; exit 4; nothing is changed."""
    before = here.state()
    done = xcomctl("fsck", *here.options, "-o", "ndjson")
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.code, done.stderr, here.state()) == (4, "", before)
    assert {tuple(finding) for finding in findings} == {tuple(KEYS)}
    assert [(f["finding"], f["dag_id"], f["run_id"], f["size"]) for f in findings] == [
        ("orphaned", "etl", "gone", 11),
        ("dangling", "lost", "r1", None),
        ("unresolved", "far", "r1", None),
        ("foreign", None, None, 11),
    ]
    assert findings[0]["last_modified"].endswith("Z")
    assert findings[3]["uri"] == f"{here.root}/READ ME + %20é.txt"
    assert (findings[1]["task_id"], findings[1]["map_index"], findings[1]["key"]) == (
        "load",
        -1,
        "return_value",
    )


def test_other_formats(xcomctl: Command, here: Deployment) -> None:
    """A document with totals, CSV, chosen columns, a template, and a summary that fits a narrow terminal."""
    document = json.loads(xcomctl("fsck", *here.options, "-o", "json").stdout)
    assert list(document) == ["schema", "checked_at", "totals", "counts", "findings"]
    assert (document["schema"], document["counts"]) == (
        "xcomctl.fsck/1",
        {"orphaned": 1, "dangling": 1, "unresolved": 1, "foreign": 1, "unfinished": 0},
    )
    assert document["totals"] == {
        "rows_scanned": 3,
        "rows_dangling": 1,
        "objects_scanned": 4,
        "objects_live": 1,
        "objects_expired": 0,
        "objects_orphaned": 1,
        "objects_recent": 1,
        "objects_foreign": 1,
        **{f"{what}_{state}": 0 for what in ("uploads", "upload_bytes") for state in UPLOAD_STATES},
    }
    table = csv.DictReader(StringIO(xcomctl("fsck", *here.options, "-o", "csv").stdout, newline=""))
    assert ([row["finding"] for row in table], table.fieldnames) == (
        ["orphaned", "dangling", "unresolved", "foreign"],
        KEYS,
    )
    chosen = xcomctl("fsck", *here.options, *NO_WAIT, "--template", "{finding} {run_id}")
    assert chosen.stdout.splitlines()[:2] == ["orphaned gone", "orphaned just now"]
    narrow = xcomctl.on_terminal("fsck", *here.options, "--samples", "0")
    lines = re.sub("\x1b\\[[0-9;]*m", "", narrow.stdout).splitlines()
    assert (narrow.code, max(map(len, lines)) <= 80) == (4, True), lines
    wrong = xcomctl("fsck", *here.options, "--columns", "nope")
    assert (wrong.code, wrong.stdout) == (2, "")


def test_what_fits_together_is_no_finding(xcomctl: Command, deploy: Deploy) -> None:
    """Exit 0, also beside foreign objects; without a store, the roots of the references are proposed."""
    here = deploy("sqlite", "airflow-2")
    here.push()
    here.upload(key=f"{here.prefix}/README.txt")
    assert xcomctl("fsck", *here.options).code == 0
    bare = xcomctl("fsck", "--db", here.database.url)
    assert (bare.code, bare.stderr.splitlines()[1]) == (2, f"hint: add --store {here.root}")
    here.database.execute("DELETE FROM xcom")
    assert xcomctl("fsck", "--db", here.database.url).code == 0


def test_an_object_that_cannot_be_asked_for_is_unresolved_and_not_dangling(
    xcomctl: Command, deploy: Deploy, seaweed: SeaweedFS
) -> None:
    """A store out of reach, or without the right to list, is an error: nothing is called orphaned or dangling."""
    here = deploy()
    here.push()
    done = xcomctl("fsck", *here.options, env=seaweed.environment("stranger"))
    assert (done.code, done.stdout, len(done.stderr.splitlines())) == (7, "", 2)


def test_archive_tables_keep_objects_unless_ignored(xcomctl: Command, deploy: Deploy) -> None:
    """What `airflow db clean` moved away is no orphan by default."""
    here = deploy()
    here.push(age=40 * DAY)
    here.push(run="r2")
    archive = "_airflow_deleted__xcom__20261101000000"
    here.database.execute(f"CREATE TABLE {archive} AS SELECT * FROM xcom WHERE run_id = 'r1'")
    here.database.execute("DELETE FROM xcom WHERE run_id = 'r1'")
    assert xcomctl("fsck", *here.options, *NO_WAIT).code == 0
    assert xcomctl("fsck", *here.options, *NO_WAIT, "--ignore-archives").code == 4
