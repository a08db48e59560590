"""`xcomctl gc` as people and cron jobs run it: consent, guards, refusals, interruptions, output."""

from __future__ import annotations

import csv
import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.services.command import COMMAND, Command, Result
from tests.services.deployment import AT_ONCE, DAY, Deploy, Deployment
from tests.services.processes import free_port
from tests.services.scripted_store import Answer, Asked, scripted_store
from tests.services.worlds import World
from xcomctl.demo.server import SeaweedFS
from xcomctl.plan import PUBLIC_COLUMNS

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
]
GUARDS = ["empty_database", "cross_match", "unknown_dags", "replica", "clock_skew"]


@pytest.fixture
def here(deploy: Deploy) -> Deployment:
    """An expired row with its object, a live one, an orphan, a foreign object and a dangling row."""
    made = deploy()
    made.push(run="old", age=40 * DAY)
    made.push(run="new")
    made.push("lost", key=f"{made.prefix}/lost/r1/load/{uuid4()}")
    made.upload(run="gone")
    made.upload(key=f"{made.prefix}/README.txt")
    return made


def told(result: Result) -> list[str]:
    """The lines of stderr, none of which is a traceback."""
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()


def test_without_a_yes_nothing_is_deleted(xcomctl: Command, here: Deployment) -> None:
    """Off a terminal gc shows the plan, says what it needs and exits 2; --dry-run says that it is one."""
    before = here.state()
    asked = xcomctl("gc", *here.options, *AT_ONCE, "--older-than", "30d")
    assert (asked.code, here.state()) == (2, before)
    assert "objects to delete:" in asked.stdout
    assert told(asked) == [
        "error: nothing was deleted: 1 rows and 2 objects (22 B) would go, and there is no terminal to ask at",
        "hint: add --yes to delete, or --dry-run to see the plan",
    ]
    tried = xcomctl("gc", *here.options, *AT_ONCE, "--older-than", "30d", "--dry-run", "--yes")
    assert (tried.code, here.state()) == (0, before)
    assert told(tried)[-1].startswith("note: dry run: nothing was deleted")
    closed = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "gc", *here.options, *AT_ONCE],
        cwd=xcomctl.folder,
        env=xcomctl.environment(),
        capture_output=True,
        check=False,
    )
    assert (closed.returncode, here.state()) == (2, before)


def answered(xcomctl: Command, answer: str, *arguments: str) -> tuple[int, str]:
    """Run it on a terminal and answer its question; how it ended, and everything that the terminal showed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=xcomctl.folder,
        env=xcomctl.environment({"TERM": "xterm"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown, replied = b"", False
        while True:
            try:
                shown += os.read(ours, 1 << 16)
            except OSError:
                break
            if b"[y/N]" in shown and not replied:
                os.write(ours, f"{answer}\n".encode())
                replied = True
    os.close(ours)
    assert replied, shown.decode()
    return process.returncode, shown.decode()


def test_on_a_terminal_it_asks(xcomctl: Command, here: Deployment) -> None:
    """The question tells how much would go; no means no, also for machine formats, which show the plan beside it."""
    before = here.state()
    options = ("gc", *here.options, *AT_ONCE, "--older-than", "30d")
    code, shown = answered(xcomctl, "n", *options, "-o", "json")
    assert (code, here.state(), "rows to delete:" in shown) == (0, before, True)
    assert "Delete 1 rows and 2 objects (22 B)? [y/N]" in shown
    code, shown = answered(xcomctl, "y", *options)
    assert (code, "deleted 1 rows and 2 objects (22 B)" in shown) == (0, True)
    assert len(here.keys()) == len(before[0]) - 2


def test_the_plan_as_a_document(xcomctl: Command, here: Deployment) -> None:
    """Exactly the documented members, and numbers that agree with each other."""
    before = here.state()
    done = xcomctl("gc", *here.options, *AT_ONCE, "--older-than", "30d", "--dry-run", "-o", "json")
    plan = json.loads(done.stdout)
    assert (done.code, here.state()) == (0, before)
    assert list(plan) == ["schema", "plan_id", "created_at", "scope", "totals", "guards", "actions"]
    assert (plan["schema"], plan["scope"]) == (
        "xcomctl.plan/1",
        {
            "roots": [here.root],
            "dag": None,
            "older_than": "30d",
            "keep_last": 1,
            "orphans": True,
            "ignore_archives": False,
            "min_age": "0s",
        },
    )
    totals, actions = plan["totals"], plan["actions"]
    assert (list(totals), [guard["id"] for guard in plan["guards"]]) == (TOTALS, GUARDS)
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
    options = ("gc", *here.options, *AT_ONCE, "--older-than", "30d")
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
    assert list(outcome) == ["schema", "plan_id", "rows", "objects", "bytes_reclaimed", "failures"]
    assert (outcome["rows"]["deleted"], outcome["objects"]["deleted"], outcome["bytes_reclaimed"]) == (
        1,
        2,
        22,
    )
    again = xcomctl(*options, "--yes", "-o", "csv")
    assert (again.code, told(again)) == (0, ["note: nothing to collect"])
    assert {row["count"] for row in csv.DictReader(StringIO(again.stdout))} == {"0"}


BAD_OPTIONS = [
    (("--no-orphans",), "error: --no-orphans leaves nothing to collect"),
    (("--min-age", "30m"), "error: --min-age 30m is below 1h"),
    (("--min-age", "-1h"), "error: '-1h' is not a duration"),
    (("--min-age", "9999999d"), "error: --min-age 9999999d is too long ago"),
    (("--older-than", "30"), "error: '30' is not a duration"),
    (("--older-than", "0d"), "error: --older-than 0d selects everything"),
    (("--older-than", "-5d"), "error: '-5d' is not a duration"),
    (("--older-than", "999999999d"), "error: --older-than 999999999d is too long ago"),
    (("--keep-last", "-1"), "error: Invalid value for '--keep-last'"),
    (("--keep-last", "9" * 40), "error: Invalid value for '--keep-last'"),
    (("--columns", "uri,nope"), "error: there is no column 'nope'"),
    (("--columns", "uri,nope", "-o", "json"), "error: there is no column 'nope'"),
    (("--template", "{nope}"), "error: there is no column 'nope'"),
    (("--store", "ftp://x"), "error: 'ftp://x' is not an S3 address"),
    (("--store", "s3://"), "error: 's3://' is not an S3 address"),
    (("--dag", "nothing_*"), "error: --dag 'nothing_*' matches no DAG"),
    (("--accept", "cross_match"), "error: --accept 'cross_match' is not GUARD=VALUE"),
    (("--accept", "cross_match=all"), "error: --accept 'cross_match=all' is not GUARD=VALUE"),
    (("--accept", "everything=1"), "error: --accept 'everything=1' is not GUARD=VALUE"),
    (
        ("--accept", "cross_match=0", "--accept", "cross_match=1"),
        "error: --accept names two values for cross_match",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "cause"), BAD_OPTIONS, ids=[" ".join(case[0])[:30] for case in BAD_OPTIONS]
)
def test_a_bad_option_deletes_nothing(
    capsys: pytest.CaptureFixture[str], here: Deployment, arguments: tuple[str, ...], cause: str
) -> None:
    """Exit 2, one line with the cause, one with what to type; nothing on stdout."""
    from xcomctl.cli.app import main

    with pytest.raises(SystemExit) as ended:
        main(["gc", *here.options, "--yes", *arguments])
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert (ended.value.code, said.out, len(lines)) == (2, "", 2), said.err
    assert (lines[0][: len(cause)], lines[1][:6]) == (cause, "hint: ")


def test_what_cannot_be_reached_deletes_nothing(
    xcomctl: Command, here: Deployment, seaweed: SeaweedFS, postgres_database: str
) -> None:
    """Exit 6 for the database, 7 for the store; a cause, a hint, no traceback, no password."""
    before = here.state()
    scheme, _, address = postgres_database.partition("://")
    db, store = ("--db", here.database.url), ("--store", here.root, "--endpoint-url", seaweed.endpoint_url)
    dead = ("--store", here.root, "--endpoint-url", f"http://127.0.0.1:{free_port()}")
    missing = ("--store", "s3://not-there/xcom", "--endpoint-url", seaweed.endpoint_url)
    nobody = f"{scheme}://airflow:hush@{address.rpartition('@')[2]}"
    cases: list[tuple[int, tuple[str, ...], dict[str, str]]] = [
        (2, ("--db", "nonsense", *store), {}),
        (6, ("--db", nobody, *store), {}),
        (6, ("--db", postgres_database, *store), {}),
        (7, (*db, *dead), {"AWS_MAX_ATTEMPTS": "1"}),
        (7, (*db, *missing), {}),
        (7, (*db, *store), seaweed.environment("stranger")),
        (7, (*db, *store), {"AWS_SECRET_ACCESS_KEY": "wrong"}),
    ]
    for code, options, environment in cases:
        done = xcomctl("gc", *options, "--older-than", "30d", "--yes", env=environment)
        lines = told(done)
        assert (done.code, done.stdout, [line.split(":")[0] for line in lines]) == (
            code,
            "",
            ["error", "hint"],
        ), lines
        assert "hush" not in done.stderr
    assert here.state() == before


def test_without_the_right_to_delete_it_is_done_in_part(
    xcomctl: Command, here: Deployment, seaweed: SeaweedFS
) -> None:
    """Exit 3, each object's cause; with the right, the same command again finishes."""
    options = ("gc", *here.options, *AT_ONCE, "--older-than", "30d", "--yes")
    before = here.keys()
    denied = xcomctl(*options, env=seaweed.environment("reader"))
    assert (denied.code, told(denied)) == (
        3,
        ["error: 2 objects could not be deleted", "hint: run the same command again"],
    )
    assert ("failed  2 objects" in denied.stdout, here.keys()) == (True, before)
    done = xcomctl(*options)
    assert (done.code, len(here.keys())) == (0, len(before) - 2)


def _refusal(result: Result) -> tuple[int, str, str]:
    """Exit code, the guard that refused, and what the hint tells to add."""
    cause, hint = told(result)
    return result.code, cause.removeprefix("error: refused by ").partition(":")[0], hint.partition("add ")[2]


def test_an_empty_database_beside_a_full_bucket_is_refused(xcomctl: Command, deploy: Deploy) -> None:
    """Exit 5; the exact words of the hint overrule it, any other value does not."""
    here = deploy()
    here.upload()
    before = here.keys()
    options = ("gc", *here.options, *AT_ONCE, "--yes")
    accept = "--accept empty_database=0 --accept cross_match=0 --accept unknown_dags=1"
    refused = xcomctl(*options)
    assert _refusal(refused) == (5, "empty_database, cross_match, unknown_dags", accept)
    other = accept.replace("unknown_dags=1", "unknown_dags=2").split()
    assert _refusal(xcomctl(*options, *other)) == (5, "unknown_dags", "--accept unknown_dags=1")
    assert here.keys() == before
    assert (xcomctl(*options, *accept.split()).code, here.keys()) == (0, set())


def test_a_wrong_database_is_refused(xcomctl: Command, here: Deployment, deploy: Deploy) -> None:
    """Rows that refer to none of the objects: it is another deployment's database, or another bucket."""
    other = deploy()
    for number in range(12):
        other.push("etl", f"r{number}", key=f"{here.prefix}/etl/r{number}/load/{uuid4()}")
    before = here.keys()
    options = ("--db", other.database.url, *here.options[2:], *AT_ONCE)
    planned = xcomctl("gc", *options, "--dry-run", "-o", "json")
    guards = {guard["id"]: guard for guard in json.loads(planned.stdout)["guards"]}
    assert (planned.code, guards["cross_match"]) == (
        0,
        {"id": "cross_match", "ok": False, "value": 0.0, "limit": 0.1},
    )
    assert "would be refused by cross_match" in planned.stderr
    assert _refusal(xcomctl("gc", *options, "--yes"))[:2] == (5, "cross_match")
    assert here.keys() == before


def test_two_deployments_under_one_prefix_are_refused(xcomctl: Command, deploy: Deploy) -> None:
    """Objects that DAGs of the other one wrote lately are no orphans of ours; in the scope of our DAGs we may go on."""
    ours, theirs = deploy(), deploy()
    ours.push("etl")
    orphan = ours.upload("etl")
    kept = theirs.push("report")
    options = ("gc", *ours.options, *AT_ONCE, "--yes")
    assert _refusal(xcomctl(*options)) == (5, "unknown_dags", "--accept unknown_dags=1")
    assert orphan in ours.keys()  # noqa: SIM118 - not a dict
    assert xcomctl(*options, "--dag", "etl").code == 0
    assert (orphan in ours.keys(), kept in ours.keys()) == (False, True)  # noqa: SIM118 - not a dict


def test_without_a_store_the_roots_of_the_references_are_proposed(xcomctl: Command, here: Deployment) -> None:
    """What the hint says to add makes the same command work."""
    command = ("gc", "--db", here.database.url, *AT_ONCE, "--dry-run")
    bare = xcomctl(*command)
    assert (bare.code, told(bare)) == (
        2,
        [
            f"error: no store is configured; the database holds 3 references to {here.root}",
            f"hint: add --store {here.root}",
        ],
    )
    added = told(bare)[1].removeprefix("hint: add ").split()
    assert xcomctl(*command, *added).code == 0


def test_without_references_rows_alone_are_collected(xcomctl: Command, deploy: Deploy) -> None:
    """A database whose XComs are all inline needs no store and no credentials."""
    here = deploy()
    here.add_row("etl", "old", {"rows": 1}, age=40 * DAY)
    here.add_row("etl", "new", [1, 2])
    environment = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL": ""}
    done = xcomctl("gc", "--db", here.database.url, "--older-than", "30d", "--yes", env=environment)
    assert (done.code, here.refs()) == (0, {"etl/new/load:return_value"})
    assert told(done)[0].startswith("note: no store is configured")


def test_young_orphans_are_left_alone(xcomctl: Command, here: Deployment) -> None:
    """By default for a day, whatever else is collected."""
    done = xcomctl("gc", *here.options, "--older-than", "30d", "--yes", "-o", "json")
    assert json.loads(done.stdout)["objects"]["deleted"] == 1
    assert (done.code, len(here.keys()), len(here.dangling())) == (0, 3, 1)


def _many(here: Deployment, number: int) -> None:
    """That many expired rows with their objects, and one that stays."""
    keys = [f"{here.prefix}/etl/old/load/{uuid4()}" for _ in range(number)]
    here.upload_many(keys)
    here.push(run="new")
    here.push(run="old", task="t", key=keys[0], age=40 * DAY)
    with here.database.connection() as connection:
        connection.exec_driver_sql(
            'INSERT INTO xcom (dag_run_id, task_id, map_index, "key", dag_id, run_id, value, timestamp)'
            " SELECT dag_run_id, task_id, map_index, ?, dag_id, run_id, ?, timestamp FROM xcom WHERE task_id = 't' LIMIT 1",
            [(f"k{n}", json.dumps(here.uri(key))) for n, key in enumerate(keys[1:])],
        )


def _until(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@dataclass(frozen=True)
class _Strike:
    """What a run of `gc` did until a signal ended it."""

    code: int
    said: list[str]
    rows_gone: int
    objects_gone: int


def _struck(xcomctl: Command, here: Deployment, number: int, count: Callable[[Deployment], int]) -> _Strike:
    """Run `gc`, and send it the signal once something vanishes."""
    before, rows, objects = count(here), _rows(here), _objects(here)
    with subprocess.Popen(
        [*COMMAND, "gc", *here.options, *AT_ONCE, "--older-than", "30d", "--yes"],
        cwd=xcomctl.folder,
        env=xcomctl.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        _until(lambda: count(here) < before, process)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert here.dangling() == set()
    return _Strike(
        process.returncode, said.decode().splitlines(), rows - _rows(here), objects - _objects(here)
    )


def _rows(here: Deployment) -> int:
    return int(here.database.scalar("SELECT count(*) FROM xcom"))


def _objects(here: Deployment) -> int:
    return len(here.keys())


def _finished(xcomctl: Command, here: Deployment) -> bool:
    """Whether one more run leaves just what stays."""
    done = xcomctl("gc", *here.options, *AT_ONCE, "--older-than", "30d", "--yes")
    return (done.code, _rows(here), _objects(here), here.dangling()) == (0, 1, 1, set())


# Deleted in four steps, one after the other: the signal comes in one of the first.
_MANY = 3500


def test_a_run_that_is_killed_leaves_nothing_dangling(xcomctl: Command, deploy: Deploy) -> None:
    """kill -9 among the rows, and again among the objects; the next run finishes."""
    here = deploy()
    _many(here, _MANY)
    strike = _struck(xcomctl, here, signal.SIGKILL, _rows)
    assert (strike.code, strike.rows_gone > 0) == (-signal.SIGKILL, True)
    strike = _struck(xcomctl, here, signal.SIGKILL, _objects)
    assert (strike.code, strike.objects_gone > 0) == (-signal.SIGKILL, True)
    assert _finished(xcomctl, here)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_interrupted_says_what_it_did(
    xcomctl: Command, deploy: Deploy, number: signal.Signals
) -> None:
    """SIGTERM and Ctrl-C: the batch at hand is finished and counted; the next run finishes the rest."""
    here = deploy()
    _many(here, _MANY)
    strike = _struck(xcomctl, here, number, _objects)
    assert (strike.code, strike.said) == (
        130,
        [
            f"note: cut short after {strike.rows_gone} rows and {strike.objects_gone} objects were deleted",
            "hint: run the same command again to finish",
            "error: interrupted",
        ],
    )
    assert _finished(xcomctl, here)


def test_an_interrupted_scan_leaves_nothing_behind(
    xcomctl: Command, here: Deployment, tmp_path: Path
) -> None:
    """SIGTERM while it plans, here while a listing does not come: exit 130, no temporary folder left."""
    spill = tmp_path / "spill"
    spill.mkdir()

    def script(asked: Asked) -> Answer:
        if asked.method != "HEAD":
            time.sleep(2)
        return Answer(headers=(("Date", "Sun, 01 Nov 2026 06:00:00 GMT"),))

    with (
        scripted_store(script) as server,
        subprocess.Popen(
            [*COMMAND, "gc", *here.options[:4], "--endpoint-url", server.endpoint_url, "--yes"],
            cwd=xcomctl.folder,
            env=xcomctl.environment({"TMPDIR": str(spill)}),
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process,
    ):
        _until(lambda: any(asked.method == "GET" for asked in server.asked), process)
        assert list(spill.glob("xcomctl-*"))
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said.decode()) == (130, "error: interrupted\n")
    assert list(spill.iterdir()) == []


@pytest.mark.parametrize("name", ["3.3.2-commonio-sqlite"])
def test_on_what_airflow_wrote_only_expired_and_orphaned_things_go(
    xcomctl: Command, world: Callable[..., World], name: str
) -> None:
    """With everything expired but the newest runs, what is left fits together."""
    there = world(name)
    options = ("--db", there.db_url, "--store", str(there.root), "--endpoint-url", str(there.endpoint_url))
    done = xcomctl("gc", *options, *AT_ONCE, "--older-than", "1s", "--yes", "-o", "json")
    assert (done.code, json.loads(done.stdout)["objects"]["failed"]) == (0, 0)
    assert xcomctl("fsck", *options, *AT_ONCE).code == 0
