# mypy: ignore-errors
"""Collects XComs that nobody needs any more, in shares that run on the workers. For Airflow 2.11 and 3.x, unchanged.

xcomctl runs as a command of its own, in a virtual environment beside Airflow's: the variable XCOMCTL_COMMAND of the
workers says where it is. Which database and which store it looks at comes from Airflow connections that it is given by
the parameters of the DAG, or else from the variables of the workers, such as XCOMCTL_DB: tasks of Airflow 3 are not told
of the metadata database. What it may delete is said by the parameter `options`: whoever may trigger this DAG may say it.
"""

import datetime
import json
import logging
import os
import signal
import subprocess
import tempfile

try:
    from airflow.sdk import BaseHook, Param, dag, task
except ImportError:
    from airflow.decorators import dag, task
    from airflow.hooks.base import BaseHook
    from airflow.models.param import Param

COMMAND = "/opt/xcomctl/bin/xcomctl"
NOT_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
SUMS = {"rows": ("rows", "deleted"), "objects": ("objects", "deleted"), "purged": ("objects", "purged")}

log = logging.getLogger(__name__)


def environment_for(params):
    """The variables of the command: the worker's, and what the connections say. Secrets are on no command line."""
    variables = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    if params["database_conn_id"]:
        variables["XCOMCTL_DB"] = BaseHook.get_connection(params["database_conn_id"]).get_uri()
    if params["store_conn_id"]:
        store = BaseHook.get_connection(params["store_conn_id"])
        known = {
            "AWS_ACCESS_KEY_ID": store.login,
            "AWS_SECRET_ACCESS_KEY": store.password,
            "AWS_SESSION_TOKEN": store.extra_dejson.get("aws_session_token"),
            "XCOMCTL_ENDPOINT_URL": store.extra_dejson.get("endpoint_url"),
            "XCOMCTL_REGION": store.extra_dejson.get("region_name"),
        }
        variables.update({name: value for name, value in known.items() if value})
    return variables


def run_command(arguments, variables):
    """Run the command: what it says goes to the log of the task. Its exit code, and what it printed."""
    command = [variables.get("XCOMCTL_COMMAND") or COMMAND, *arguments]
    log.info("running %s", command)
    with tempfile.TemporaryFile("w+") as printed:
        # A list of arguments: no shell reads it.
        process = subprocess.Popen(  # noqa: S603
            command, env=variables, stdout=printed, stderr=subprocess.PIPE, text=True
        )
        with process:
            try:
                for line in process.stderr:
                    log.info("%s", line.rstrip())
            except BaseException:
                # The task was told to stop. The command ends in order, with what it had begun on record.
                process.send_signal(signal.SIGTERM)
                raise
        printed.seek(0)
        return process.returncode, printed.read()


@dag(
    schedule="@weekly",
    start_date=datetime.datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    # It deletes: somebody is to look at its parameters first.
    is_paused_upon_creation=True,
    default_args={"retries": 2},
    params={
        "shards": Param(
            4, type="integer", minimum=1, maximum=1024, description="How many tasks share the work."
        ),
        "options": Param(
            ["--older-than", "30d"],
            type="array",
            items={"type": "string"},
            description="Of xcomctl gc: what may go.",
        ),
        "database_conn_id": Param(
            "", type="string", description="Airflow connection to the metadata database."
        ),
        "store_conn_id": Param("", type="string", description="Airflow connection to the store, with keys."),
    },
)
def xcomctl_maintenance():
    """Plan the shares, collect each, sum up."""

    @task
    def plan_shards(params=None):
        """One share for each task. A command that cannot be run at all fails here, once."""
        code, _ = run_command(["--version"], environment_for(params))
        if code:
            raise RuntimeError(f"the command does not run: exit {code}")
        return [f"{number}/{params['shards']}" for number in range(1, params["shards"] + 1)]

    @task
    def collect(shard, params=None):
        """Collect one share. Shares take turns where they delete; one that was killed is finished by the next try."""
        arguments = ["gc", *params["options"], "--shard", shard, "--yes", "-o", "json"]
        code, printed = run_command(arguments, environment_for(params))
        if code:
            # 3: some objects could not be deleted. 5: a guard or a lock refused. 6, 7: database or store out of reach.
            raise RuntimeError(f"share {shard}: xcomctl ended with exit {code}, its last words are above")
        outcome = json.loads(printed)
        return {
            "shard": shard,
            "bytes": outcome["bytes_reclaimed"],
            **{name: outcome[kind][result] for name, (kind, result) in SUMS.items()},
        }

    @task(trigger_rule="all_done", retries=0)
    def sum_up(collected, params=None):
        """What went, all shares together. Fails if a share did not end well, whatever the others did."""
        done = list(collected or [])
        shares = {f"{number}/{params['shards']}" for number in range(1, params["shards"] + 1)}
        missing = sorted(shares - {one["shard"] for one in done})
        total = {name: sum(one[name] for one in done) for name in (*SUMS, "bytes")}
        log.info("%d of %d shares are done: %s", len(done), len(shares), total)
        if missing:
            raise RuntimeError(
                f"shares {', '.join(missing)} failed; see their logs. The next run does what is left over"
            )
        return {"shards": len(done), **total}

    sum_up(collect.expand(shard=plan_shards()))


xcomctl_maintenance()
