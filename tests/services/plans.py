"""Plans made by hand."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pyarrow as pa

from xcomctl import __version__
from xcomctl.gc.plan import Basis, Guard, Plan
from xcomctl.gc.plan_actions import Actions, action_schema

AT = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=timezone.utc)

BASIS = Basis(
    database="0123456789abcdef",
    database_label="postgresql://airflow@db:5432/airflow",
    endpoint=None,
    snapshot_at=AT,
    cutoff=AT,
    policy_digest=None,
    tool_version=__version__,
)


def plan_of(*records: dict[str, Any], guards: tuple[Guard, ...] = ()) -> Plan:
    """A plan with these actions; what they do not say is NULL."""
    schema = action_schema()
    whole = [{**dict.fromkeys(schema.names), **record} for record in records]
    actions = Actions()
    actions.add([pa.RecordBatch.from_pylist(whole, schema=schema)])
    return Plan(
        created_at=AT,
        scope={"dag": None, "roots": []},
        basis=BASIS,
        totals={"rows_scanned": 3},
        guards=guards,
        actions=actions,
    )


def plan_of_kinds(*kinds: str, guards: tuple[Guard, ...] = ()) -> Plan:
    """A plan with actions of these kinds, whose keys are their numbers."""
    return plan_of(*({"action": kind, "key": str(n)} for n, kind in enumerate(kinds)), guards=guards)
