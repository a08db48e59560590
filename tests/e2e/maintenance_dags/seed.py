# ruff: noqa: D103 - a task is named after what it does
# mypy: ignore-errors
"""DAGs whose values are large enough to be objects, for the maintenance to have something to keep and to collect."""

import datetime

try:
    from airflow.sdk import dag, task
except ImportError:
    from airflow.decorators import dag, task

for number in range(8):

    @dag(f"seed_{number}", start_date=datetime.datetime(2026, 1, 1), schedule=None, catchup=False)
    def seed():
        @task
        def value(part):
            return str(part) * 5000

        value.expand(part=[1, 2])

    seed()
