"""Which XCom stands on the other side: the same one in another run."""

from __future__ import annotations

from xcomctl.airflow.interface import Source
from xcomctl.airflow.naming import same_in_run
from xcomctl.errors import NotFoundError
from xcomctl.models import Row

_RUNS = 1000
"""Runs of the DAG among which the row's own is sought."""
_LOOKED_AT = 50
"""Earlier runs that are asked for the XCom: a task may have been skipped in some."""


def earlier(row: Row, source: Source) -> Row:
    """The same XCom (task, index, key) in the newest run before the row's own that has it.

    Raises NotFoundError where none has, SourceError.
    """
    runs = source.run_ids(str(row.dag_id), limit=_RUNS)
    before = runs[runs.index(row.run_id) + 1 :] if row.run_id in runs else []
    for run_id in before[:_LOOKED_AT]:
        found = same_in_run(row, run_id, source)
        if found is not None:
            return found
    raise NotFoundError(f"no earlier run has {row.ref}", hint="name the other XCom too: xcomctl diff OLD NEW")


def in_run(row: Row, run_id: str, source: Source) -> Row:
    """The same XCom in that run. Raises NotFoundError, SourceError."""
    found = same_in_run(row, run_id, source)
    if found is None:
        raise NotFoundError(
            f"run {run_id} of {row.dag_id} has no such XCom",
            hint=f"xcomctl ls --dag {row.dag_id} --task {row.task_id}",
        )
    return found
