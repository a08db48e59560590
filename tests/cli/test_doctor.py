"""`xcomctl doctor`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.services.command import Command
from tests.services.deployment import DAY, Deploy, Deployment


@pytest.fixture
def small(deploy: Deploy) -> Deployment:
    """An old run and a new one, each with an object."""
    here = deploy()
    here.push(run="old", age=40 * DAY)
    here.push(run="new")
    return here


def test_a_set_up_is_told_to_people_and_to_programs(small: Deployment, xcomctl: Command) -> None:
    """A line for each check, cut for the terminal; one document; exit 4 for a fault, which says what to type."""
    done = xcomctl("doctor", *small.options)
    assert (done.code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")][:-1] == ["ok"] * 25 + ["skip"]
    assert lines[-1] == "26 checks: 25 ok, 1 skipped"

    done = xcomctl.on_terminal("doctor", *small.options, "--store", "s3://no-such-bucket", width=80)
    assert done.code == 4
    shown = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in done.stdout.splitlines()]
    # What has no blanks, as a path, is not broken.
    assert [line for line in shown if len(line) > 80 and "/" not in line] == []
    assert "hint: check --store, and --endpoint-url" in " ".join(done.stdout.split())

    done = xcomctl("doctor", *small.options, "--db", "sqlite:////no/such.db", "-o", "json")
    document = json.loads(done.stdout)
    assert (done.code, document["schema"], document["counts"]["fail"]) == (4, "xcomctl.doctor/1", 1)
    [failed] = [check for check in document["checks"] if check["status"] == "fail"]
    assert failed == {
        "check": "database.reachable",
        "status": "fail",
        "subject": None,
        "why": "sqlite:////no/such.db: no such file",
        "hint": "check the path in --db; an absolute one has four slashes: sqlite:////path/to/airflow.db",
        "facts": {},
    }


def test_a_faulty_configuration_is_a_failed_check(xcomctl: Command, tmp_path: Path) -> None:
    """Each setting that is wrong is told once, and is no error of the command; so is a policy that is wrong."""
    (tmp_path / "policy.toml").write_text("[defaults]\nolder_then = '3d'\n")
    done = xcomctl(
        *("doctor", "--endpoint-url", "nowhere", "--memory", "1", "--store", "/data", "-o", "csv"),
        *("--policy", str(tmp_path / "policy.toml"), "--columns", "status,check,why"),
    )
    assert (done.code, done.stderr) == (4, "")
    failed = [line.split(",", 2) for line in done.stdout.splitlines() if line.startswith("fail,")]
    assert [check for _, check, _ in failed] == [
        "configuration.db",
        "configuration.stores",
        "configuration.endpoint_url",
        "configuration.limits",
        "policy",
    ]
    (xcomctl.folder / "xcomctl.toml").write_text("db = [")
    done = xcomctl("doctor", "-o", "ndjson")
    assert done.code == 4
    assert [json.loads(line)["check"] for line in done.stdout.splitlines() if '"fail"' in line] == [
        "configuration.file"
    ]


def test_what_is_suggested_can_be_used(small: Deployment, xcomctl: Command) -> None:
    """The roots that references show, the database without its password; config, policy check and doctor take them."""
    small.add_row("etl", "new", "ours://somewhere", task="other")
    known = ("--db", small.database.url, "--endpoint-url", small.server.endpoint_url)
    printed = xcomctl("doctor", *known, "--suggest-config", "-")
    assert (printed.code, printed.stderr) == (0, "")
    config, _, policy = printed.stdout.partition("\n# --- policy.toml, a file of its own:\n")
    done = xcomctl("doctor", *known, "--suggest-config", "made.toml")
    made = xcomctl.folder / "made.toml"
    assert (done.code, made.read_text()) == (0, config)
    assert "1 of the newest rows look like references" in config
    written = (xcomctl.folder / "policy.toml").read_text()
    assert [line.removeprefix("#").removeprefix(" ") for line in policy.splitlines()] == written.splitlines()

    shown = json.loads(xcomctl("config", "show", "--config", "made.toml", "-o", "json").stdout)
    found = {line["setting"]: line["value"] for line in shown}
    assert (found["stores"], found["db"]) == ([small.root], small.database.url)
    assert xcomctl("policy", "check", "policy.toml", "--config", "made.toml").code == 0
    assert xcomctl("doctor", "--config", "made.toml", "--policy", "policy.toml").code == 0

    policy_of_aws = json.loads(xcomctl("doctor", *small.options, "--iam", "read-only").stdout)
    assert [statement["Sid"] for statement in policy_of_aws["Statement"]] == [
        "List1",
        "Settings1",
        "Objects1",
        "Above1",
    ]

    collector = "arn:aws:iam::111122223333:role/xcomctl"
    of_the_bucket = xcomctl("doctor", *small.options, "--iam", "bucket", "--collector", collector)
    [statement] = json.loads(of_the_bucket.stdout)["Statement"]
    assert (statement["Effect"], statement["Resource"]) == (
        "Deny",
        [f"arn:aws:s3:::{small.bucket}/{small.prefix}/.xcomctl/*"],
    )
    for words in (("--iam", "bucket"), ("--iam", "gc", "--collector", collector), ("--collector", collector)):
        done = xcomctl("doctor", *small.options, *words)
        assert (done.code, done.stdout) == (2, "")
        assert done.stderr.endswith(f"hint: xcomctl doctor --iam bucket --collector {collector}\n")

    again = xcomctl("doctor", *known, "--suggest-config", "made.toml")
    assert (again.code, made.read_text()) == (2, config)
    secret = xcomctl("doctor", "--db", "postgresql://me:hush@127.0.0.1:1/x", "--suggest-config", "-")
    assert (secret.code, "hush" in secret.stdout + secret.stderr) == (0, False)
    assert "# export XCOMCTL_DB=" in secret.stdout
