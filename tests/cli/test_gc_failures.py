"""`xcomctl gc`: guards that refuse, servers that are not there, signals and kills."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cli.conversation import told
from tests.services.command import COMMAND, Command, Result
from tests.services.deployment import DAY, NO_WAIT, Deploy, Deployment
from tests.services.processes import free_port
from tests.services.s3_requests import is_listing
from tests.services.scripted_store import Answer, Asked, scripted_store
from tests.services.sweeps import sweep
from xcomctl.demo.server import SeaweedFS
from xcomctl.models import Root
from xcomctl.state.lock import lock_address


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


def test_without_the_right_to_write_nothing_goes(
    xcomctl: Command, here: Deployment, seaweed: SeaweedFS
) -> None:
    """A plan needs to read only; to execute it takes a lock, a journal and a trash: exit 7 without them."""
    options = ("gc", *here.options, *NO_WAIT, "--older-than", "30d")
    before = here.state()
    planned = xcomctl(*options, "--dry-run", env=seaweed.environment("reader"))
    assert (planned.code, "objects to delete:" in planned.stdout) == (0, True)
    denied = xcomctl(*options, "--yes", env=seaweed.environment("reader"))
    assert (denied.code, told(denied)[0].startswith("error: "), here.state()) == (7, True, before)
    done = xcomctl(*options, "--yes")
    assert (done.code, len(here.keys())) == (0, len(before[0]) - 2)


def _refusal(result: Result) -> tuple[int, str, str]:
    """Exit code, the guard that refused, and what the hint tells to add."""
    cause, hint = told(result)[-2:]
    return result.code, cause.removeprefix("error: refused by ").partition(":")[0], hint.partition("add ")[2]


def test_an_empty_database_beside_a_full_bucket_is_refused(xcomctl: Command, deploy: Deploy) -> None:
    """Exit 5; the exact words of the hint overrule it, any other value does not."""
    here = deploy()
    here.upload()
    before = here.keys()
    options = ("gc", *here.options, *NO_WAIT, "--yes")
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
    options = ("--db", other.database.url, *here.options[2:], *NO_WAIT)
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
    options = ("gc", *ours.options, *NO_WAIT, "--yes")
    assert _refusal(xcomctl(*options)) == (5, "unknown_dags", "--accept unknown_dags=1")
    assert orphan in ours.keys()  # noqa: SIM118 - not a dict
    assert xcomctl(*options, "--dag", "etl").code == 0
    assert (orphan in ours.keys(), kept in ours.keys()) == (False, True)  # noqa: SIM118 - not a dict


def test_a_database_that_shrank_or_went_back_is_refused(xcomctl: Command, deploy: Deploy) -> None:
    """Rows that went by our own hand are no loss; those that are missing at the next look are."""
    here = deploy()
    for number in range(6):
        here.add_row("etl", f"old{number}", number, age=40 * DAY)
    for number in range(4):
        here.push(run=f"new{number}")
    options = ("gc", *here.options, *NO_WAIT, "--yes")
    assert xcomctl(*options, "--older-than", "30d").code == 0
    here.upload()
    assert (xcomctl(*options).code, len(here.keys())) == (0, 4)
    here.upload()
    here.database.execute("DELETE FROM xcom WHERE run_id IN ('new1', 'new2', 'new3')")
    before = here.keys()
    refused = xcomctl(*options)
    assert _refusal(refused) == (5, "shrunk_database", "--accept shrunk_database=1")
    here.database.execute("DELETE FROM dag_run WHERE run_id IN ('new1', 'new2', 'new3')")
    refused = xcomctl(*options)
    accept = f"--accept shrunk_database=1 --accept older_database={here.database.run_ids['etl', 'new0']}"
    assert _refusal(refused) == (5, "shrunk_database, older_database", accept)
    assert (
        "error: refused by shrunk_database, older_database: the database has 1 XCom row; after"
        in refused.stderr
    )
    assert here.keys() == before
    assert (xcomctl(*options, *accept.split()).code, len(here.keys())) == (0, 1)


# Rows are deleted in transactions of 500, and objects by the second: the signal comes in one of the first.
_ROWS = 1200
_OBJECTS = 200
_SLOWLY = ("--max-rate", "50")


def _many(here: Deployment) -> None:
    """Many expired rows, some of them with objects, and one that stays."""
    keys = [f"{here.prefix}/etl/old/load/{uuid4()}" for _ in range(_OBJECTS)]
    values = [here.uri(key) for key in keys[1:]] + list(range(_ROWS - _OBJECTS))
    here.upload_many(keys)
    here.push(run="new")
    here.push(run="old", task="t", key=keys[0], age=40 * DAY)
    with here.database.connection() as connection:
        connection.exec_driver_sql(
            'INSERT INTO xcom (dag_run_id, task_id, map_index, "key", dag_id, run_id, value, timestamp)'
            " SELECT dag_run_id, task_id, map_index, ?, dag_id, run_id, ?, timestamp FROM xcom WHERE task_id = 't' LIMIT 1",
            [(f"k{n}", json.dumps(value)) for n, value in enumerate(values)],
        )


def _until(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


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
        [*COMMAND, "gc", *here.options, *NO_WAIT, *_SLOWLY, "--older-than", "30d", "--yes"],
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


def _bury(here: Deployment) -> None:
    """Remove the lock of a process that is known to be dead; it would end by itself after some minutes."""
    address = lock_address(Root.parse(here.root))
    here.client.delete_object(Bucket=address.bucket, Key=address.key)


def _finish(xcomctl: Command, here: Deployment) -> tuple[int, str, int, int, set[str]]:
    """How one more run ends, what it complains of, and what is left: rows, objects, dangling keys.

    What a run leaves whose rows it deleted are orphans, here most of the bucket. Their journal says whose doing that is:
    no guard takes it for a wrong database.
    """
    done = xcomctl("gc", *here.options, *NO_WAIT, "--older-than", "30d", "--yes")
    complaint = "" if done.code == 0 else done.stderr
    return done.code, complaint, _rows(here), _objects(here), here.dangling()


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_nothing_dangling(xcomctl: Command, deploy: Deploy) -> None:
    """kill -9 among the rows, and again among the objects; the lock outlives it for minutes, then the next run finishes."""
    here = deploy()
    _many(here)
    strike = _struck(xcomctl, here, signal.SIGKILL, _rows)
    assert (strike.code, strike.rows_gone > 0) == (-signal.SIGKILL, True)
    waiting = xcomctl("gc", *here.options, *NO_WAIT, "--older-than", "30d", "--yes")
    assert (waiting.code, "hint: wait until that is done" in waiting.stderr) == (5, True)
    _bury(here)
    strike = _struck(xcomctl, here, signal.SIGKILL, _objects)
    assert (strike.code, strike.objects_gone > 0) == (-signal.SIGKILL, True)
    _bury(here)
    assert _finish(xcomctl, here) == (0, "", 1, 1, set())


@pytest.mark.parametrize(
    "number", sweep([signal.SIGTERM, signal.SIGINT], lambda number: number == signal.SIGTERM)
)
def test_a_run_that_is_interrupted_says_what_it_did(
    xcomctl: Command, deploy: Deploy, number: signal.Signals
) -> None:
    """SIGTERM and Ctrl-C: the batch at hand is finished and counted; the next run finishes the rest."""
    here = deploy()
    _many(here)
    strike = _struck(xcomctl, here, number, _objects)
    counted, undo, last = strike.said
    assert (strike.code, counted, last) == (
        130,
        f"note: cut short after {strike.rows_gone:,} rows and {strike.objects_gone:,} objects were deleted",
        "error: interrupted",
    )
    hint, _, operation = undo.rpartition(" ")
    assert hint == "hint: run the same command again to finish, or bring it back: xcomctl undo"
    assert any(f"/journal/{operation}/" in key for key in here.all_keys())
    assert _finish(xcomctl, here) == (0, "", 1, 1, set())


def test_an_interrupted_scan_leaves_nothing_behind(
    xcomctl: Command, here: Deployment, tmp_path: Path
) -> None:
    """SIGTERM while it plans, here while a listing does not come: exit 130, no temporary folder left."""
    spill = tmp_path / "spill"
    spill.mkdir()

    def script(asked: Asked) -> Answer:
        if asked.method != "HEAD":
            time.sleep(2)
        elif asked.path.endswith("owner.json"):
            return Answer(status=404)
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
        _until(lambda: any(map(is_listing, server.asked)) and any(spill.glob("xcomctl-*")), process)
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said.decode()) == (130, "error: interrupted\n")
    assert list(spill.iterdir()) == []
