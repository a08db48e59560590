"""The columns of `ls`."""

from __future__ import annotations

from datetime import datetime, timedelta

from xcomctl.cli.output.columns import Column, Fit
from xcomctl.look.listing import ListedXCom
from xcomctl.models import task_ref
from xcomctl.units import format_duration, format_size


def entry_columns(now: datetime) -> list[Column[ListedXCom]]:
    """The columns of an entry; those without a title are for machines. Ages are those at `now`."""

    def age(entry: ListedXCom) -> str:
        at = entry.row.written_at
        return "" if at is None else format_duration(max(now - at, timedelta(0)))

    return [
        Column("id", lambda entry: entry.row.short_id, "ID", fit=Fit.whole),
        Column("dag_id", lambda entry: entry.row.dag_id, "DAG"),
        Column("run_id", lambda entry: entry.row.run_id, "RUN", fit=Fit.middle),
        Column("task_id", lambda entry: entry.row.task_id, "TASK", human=_task),
        Column("map_index", lambda entry: entry.row.map_index),
        Column("key", lambda entry: entry.row.key, "KEY"),
        Column(
            "written_at", lambda entry: entry.row.written_at, "AGE", human=age, number=True, fit=Fit.whole
        ),
        Column("size", lambda entry: entry.size, "SIZE", human=_size, number=True, fit=Fit.whole),
        Column("type", lambda entry: entry.type, "TYPE"),
        # A URI that is cut cannot be pasted; the id can, wherever the object is.
        Column("lives", lambda entry: entry.lives, "LIVES", human=_place, brief=lambda entry: entry.lives),
        Column("ref", lambda entry: entry.row.ref),
        Column("uri", lambda entry: None if entry.address is None else entry.address.uri),
        Column("dialect", lambda entry: None if entry.reference is None else entry.reference.dialect),
        Column("run_state", lambda entry: entry.row.run_state),
        Column("try_number", lambda entry: entry.row.try_number),
        Column("superseded", lambda entry: entry.row.superseded),
    ]


def _task(entry: ListedXCom) -> str:
    return task_ref(entry.row.task_id or "", entry.row.map_index)


def _size(entry: ListedXCom) -> str:
    return "" if entry.size is None else format_size(entry.size)


def _place(entry: ListedXCom) -> str:
    return entry.address.uri if entry.lives == "s3" and entry.address is not None else entry.lives
