# ruff: noqa: D103 - a task is named after what it does
# mypy: ignore-errors
"""DAGs that do to XComs all that the e2e matrix measures. For Airflow 2.5 to 3.4."""

import datetime

try:
    from airflow.sdk import DAG, get_current_context, task
except ImportError:
    from airflow.decorators import task
    from airflow.models.dag import DAG
    from airflow.operators.python import get_current_context

ARGUMENTS = {"start_date": datetime.datetime(2026, 1, 1), "schedule": None, "catchup": False}
BIG = 1000


def instance():
    return get_current_context()["ti"]


with DAG("life", **ARGUMENTS):

    @task(retries=1, retry_delay=datetime.timedelta(seconds=0))
    def retry():
        instance().xcom_push(key="early", value=[instance().try_number] * BIG)
        if instance().try_number == 1:
            raise ValueError("fails once, as it should")
        return [0] * BIG

    @task
    def repush():
        instance().xcom_push(key="twice", value=[1] * BIG)
        instance().xcom_push(key="twice", value=[2] * BIG)
        return [0] * BIG

    @task
    def numbers():
        return [1, 2, 3]

    @task
    def repeat(number):
        return (number,) * BIG

    @task
    def prior():
        return [7] * BIG if get_current_context()["run_id"] == "first" else None

    @task
    def check(repeated):
        ti = instance()
        pulled = {
            "several": list(ti.xcom_pull(task_ids=["retry", "repush"])),
            "early": ti.xcom_pull(task_ids="retry", key="early")[1:],
            "twice": ti.xcom_pull(task_ids="repush", key="twice"),
            "prior": ti.xcom_pull(task_ids="prior", include_prior_dates=True),
            "mapped": sorted(repeated),
        }
        expected = {
            "several": [[0] * BIG] * 2,
            "early": [2] * (BIG - 1),
            "twice": [2] * BIG,
            "prior": [7] * BIG,
            "mapped": [(number,) * BIG for number in (1, 2, 3)],
        }
        wrong = [name for name in expected if pulled[name] != expected[name]]
        if wrong:
            raise ValueError(f"came back changed: {wrong}")

    [retry(), repush(), prior()] >> check(repeat.expand(number=numbers()))

with DAG("fails", **ARGUMENTS):

    @task
    def push_and_fail():
        instance().xcom_push(key="kept", value=[1] * BIG)
        raise ValueError("fails, as it should")

    push_and_fail()

try:
    from airflow.sdk import task_group
    from airflow.sdk.definitions._internal.loop import LoopTaskGroup  # noqa: F401
except ImportError:
    pass
else:
    with DAG("loops", **ARGUMENTS):

        @task_group
        def grow():
            @task
            def add(*, loop):
                return ((0,) if loop.index == 0 else loop.previous) + (loop.index,) * BIG

            add()

        @task
        def check_loop(*, ti):
            # One value of each iteration.
            pulled = list(ti.xcom_pull(task_ids="grow.add"))
            if [len(one) for one in pulled] != [1 + (index + 1) * BIG for index in range(3)]:
                raise ValueError("did not get what the iterations returned")
            if not all(isinstance(one, tuple) for one in pulled):
                raise ValueError("came back as other types")

        grow.loop(max_iterations=3) >> check_loop()
