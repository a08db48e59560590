# ruff: noqa: D103 - a task is named after what it does
# mypy: ignore-errors
"""DAGs that run without a pause and fail as soon as an XCom that they need is missing or is not what was pushed."""

import datetime
import hashlib

from airflow.sdk import DAG, get_current_context, task

ARGUMENTS = {
    "start_date": datetime.datetime(2026, 1, 1),
    "schedule": "@continuous",
    "max_active_runs": 1,
    "catchup": False,
}
PARTS = 3


def text_of(run_id, part):
    """A value of a few kilobytes that only this run and this part have."""
    return hashlib.sha256(f"{run_id} {part}".encode()).hexdigest() * 60


def run_id():
    return get_current_context()["run_id"]


for number in range(2):
    with DAG(f"live_{number}", **ARGUMENTS):

        @task(retries=2, retry_delay=datetime.timedelta(seconds=0))
        def parts():
            """A first try pushes and fails, so that each run leaves an orphan."""
            ti = get_current_context()["ti"]
            ti.xcom_push(key="early", value=text_of(run_id(), "early"))
            if ti.try_number == 1:
                raise ValueError("fails once, as it should")
            return [text_of(run_id(), part) for part in range(PARTS)]

        @task(retries=1, retry_delay=datetime.timedelta(seconds=0))
        def repeat(text):
            """The first of the mapped tasks fails once after its push."""
            context = get_current_context()
            context["ti"].xcom_push(key="seen", value=text[::-1])
            if context["ti"].map_index == 0 and context["ti"].try_number == 1:
                raise ValueError("fails once, as it should")
            return text + text

        @task
        def check(repeated):
            ti = get_current_context()["ti"]
            wanted = [text_of(run_id(), part) * 2 for part in range(PARTS)]
            if list(repeated) != wanted:
                raise AssertionError("a mapped task's value is missing or is another one")
            if ti.xcom_pull(task_ids="parts", key="early") != text_of(run_id(), "early"):
                raise AssertionError("a value that was pushed again is missing or is another one")
            last = ti.xcom_pull(task_ids="last", include_prior_dates=True)
            if last is not None and last["text"] != text_of(last["run_id"], "last"):
                raise AssertionError("the value of a run before is not what was pushed")

        @task
        def last():
            return {"run_id": run_id(), "text": text_of(run_id(), "last")}

        check(repeat.expand(text=parts())) >> last()
