# ruff: noqa: T201
"""Delete every row of runs that ended more than 30 days ago, `METHOD DATABASE STORE`, and say how many.

The answer has the seconds from the plan to the end of the operation, or of the one statement.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone

import sqlalchemy as sa

_BARE = (
    "DELETE FROM xcom x USING dag_run d WHERE d.id = x.dag_run_id AND d.end_date < now() - interval '30 days'"
)


def bare(url: str, _: str) -> dict[str, float]:
    """One statement, which keeps nothing of what it deletes."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        began = time.perf_counter(), time.process_time()
        deleted = connection.exec_driver_sql(_BARE).rowcount
    return _answer(deleted, began)


def ours(url: str, store_url: str) -> dict[str, float]:
    """A plan that was made before is applied: each row is recorded, judged again and deleted, its outcome written."""
    import pyarrow.parquet  # noqa: F401 - a start is measured elsewhere

    from xcomctl.airflow.database import DatabaseSource
    from xcomctl.dialects.registry import DialectRegistry
    from xcomctl.gc.apply import Outcome, RowReading, apply_plan
    from xcomctl.gc.collect import Scope, plan_collection
    from xcomctl.inventory.judging import Sides
    from xcomctl.models import Root
    from xcomctl.policy import Policy
    from xcomctl.s3.store import S3Settings, S3Store
    from xcomctl.state.journal import Invocation
    from xcomctl.state.operation import Operation

    now = datetime.now(timezone.utc)
    root, dialects, outcome = Root.parse(store_url), DialectRegistry(), Outcome()
    policy = Policy(older_than=timedelta(days=30), keep_last=0)
    with closing(DatabaseSource(url)) as source, closing(S3Store(S3Settings())) as store:
        plan = plan_collection(Sides(source, store, dialects, (root,)), Scope(policy=policy), now=now)
        began = time.perf_counter(), time.process_time()
        with Operation.begin(source, store, (root,), Invocation("gc", "benchmark", now)) as operation:
            apply_plan(plan, operation, RowReading(dialects), outcome=outcome)
        return _answer(outcome.rows["deleted"], began)


def _answer(deleted: int, began: tuple[float, float]) -> dict[str, float]:
    return {
        "deleted": deleted,
        "wall": time.perf_counter() - began[0],
        "cpu": time.process_time() - began[1],
    }


if __name__ == "__main__":
    method, *places = sys.argv[1:]
    print(json.dumps({"ours": ours, "bare": bare}[method](*places)))
