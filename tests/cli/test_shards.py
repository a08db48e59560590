"""`--shard`: shards that are collected at the same time, and the Kubernetes Job that does so."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.services.command import COMMAND, Command
from tests.services.deployment import DAY, NO_WAIT, Deployment

JOB = Path(__file__).parents[2] / "examples" / "kubernetes" / "maintenance-job.yaml"


def test_shards_that_are_collected_at_once_take_turns(xcomctl: Command, here: Deployment) -> None:
    """Each deletes what is its own, none fails, and together they did what one would have done."""
    needed = here.push("train", "new")
    for number in range(4):
        here.push(f"dag_{number}", "old", age=40 * DAY)
        here.push(f"dag_{number}", "new")
        here.upload(f"dag_{number}")
    whole = xcomctl("gc", *here.options, *NO_WAIT, "--older-than", "30d", "--dry-run", "-o", "json", "-q")
    assert whole.code == 0, whole.stderr
    planned = {one["uri"] for one in json.loads(whole.stdout)["actions"]}

    def collect(number: int) -> tuple[int, dict[str, Any], str]:
        done = xcomctl(
            *("gc", *here.options, *NO_WAIT, "--older-than", "30d", "--yes", "-o", "json"),
            *("--shard", f"{number}/2"),
        )
        return done.code, json.loads(done.stdout or "{}"), done.stderr

    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(collect, (1, 2)))
    assert [code for code, _, _ in ended] == [0, 0], [stderr for _, _, stderr in ended]
    assert sum(outcome["rows"]["deleted"] for _, outcome, _ in ended) == 5
    assert sum(outcome["objects"]["deleted"] for _, outcome, _ in ended) == len(planned) == 10
    left, _ = here.state()
    assert {uri for uri in planned if uri.removeprefix(f"s3://{here.bucket}/") in left} == set()
    assert (needed in left, len(here.dangling())) == (True, 1)


def test_a_plan_says_of_which_shard_it_is(xcomctl: Command, here: Deployment) -> None:
    """In its scope; a check of the shards finds together what one finds."""
    planned = xcomctl("plan", *here.options, "--shard", "2/5", "-o", "json", "-q")
    assert json.loads(planned.stdout)["scope"]["shard"] == "2/5"
    counts = []
    for shard in ((), ("--shard", "1/2"), ("--shard", "2/2")):
        found = xcomctl("fsck", *here.options, *NO_WAIT, *shard, "-o", "json", "-q")
        counts.append(sorted(one["uri"] for one in json.loads(found.stdout)["findings"]))
    assert sorted(counts[1] + counts[2]) == counts[0] != []


@pytest.mark.parametrize("verb", ["gc", "plan", "fsck"])
def test_a_shard_that_is_none_is_refused(xcomctl: Command, verb: str) -> None:
    """Before anything is read."""
    done = xcomctl(verb, "--shard", "0/4")
    assert (done.code, done.stdout) == (2, "")
    assert "error: --shard '0/4' is no share" in done.stderr


def test_the_kubernetes_job_is_valid() -> None:
    """By the schema of the oldest release that it is for, and of the newest one that is known; with all its shards."""
    job = yaml.safe_load(JOB.read_text())
    for release in ("1.33", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(job, release, strict=True)
    [container] = job["spec"]["template"]["spec"]["containers"]
    shards = {variable["name"]: variable["value"] for variable in container["env"]}["SHARDS"]
    assert (job["spec"]["completionMode"], str(job["spec"]["completions"])) == ("Indexed", shards)


def test_the_kubernetes_job_collects(xcomctl: Command, here: Deployment, tmp_path: Path) -> None:
    """Its command line, run for each index as Kubernetes runs it."""
    [container] = yaml.safe_load(JOB.read_text())["spec"]["template"]["spec"]["containers"]
    program = tmp_path / "xcomctl"
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    command = [
        *container["command"],
        *(word.replace("/scratch", str(tmp_path)) for word in container["args"]),
    ]
    for index in range(2):
        variables = {
            "JOB_COMPLETION_INDEX": str(index),
            "SHARDS": "2",
            "XCOMCTL_DB": here.database.url,
            "XCOMCTL_STORE": here.root,
            "XCOMCTL_ENDPOINT_URL": here.server.endpoint_url,
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        }
        subprocess.run(
            command, env=xcomctl.environment(variables), cwd=xcomctl.folder, check=True, timeout=60
        )
    # What expired is gone; what is an orphan by now is too young.
    assert not any("/old/" in ref for ref in here.refs())
    assert not any("/etl/old/" in key for key in here.keys())  # noqa: SIM118
    assert len(here.dangling()) == 1
