"""Columns of operations and of their steps. Never of what a step holds: rows bring their values there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xcomctl.cli.output.columns import Column, Fit
from xcomctl.state.journal import OperationRecord
from xcomctl.units import format_size


@dataclass(frozen=True, slots=True)
class StepCounts:
    """A step of an operation, counted. `results` is None where nobody knows yet what came of it."""

    number: int
    kind: str
    intended: int
    results: Mapping[str, int] | None


def _counted(name: str) -> Column[OperationRecord]:
    return Column(name, lambda record: record.summary.get(name), name.upper(), number=True)


OPERATION_COLUMNS: tuple[Column[OperationRecord], ...] = (
    Column("id", lambda record: record.id, "ID", fit=Fit.whole),
    Column("started_at", lambda record: record.started_at, "STARTED"),
    Column("command", lambda record: record.command, "COMMAND"),
    Column("actor", lambda record: record.actor, "ACTOR"),
    Column("state", lambda record: record.state, "STATE"),
    _counted("rows"),
    _counted("objects"),
    Column(
        "bytes",
        lambda record: record.summary.get("bytes"),
        "SIZE",
        human=lambda record: _size(record.summary.get("bytes")),
        number=True,
    ),
    Column("ended_at", lambda record: record.ended_at),
    Column("error", lambda record: record.error),
    Column("summary", lambda record: dict(record.summary)),
    Column("plan_id", lambda record: record.plan_id),
    Column("roots", lambda record: [root.uri for root in record.roots]),
    Column("database", lambda record: record.database),
    Column("tool_version", lambda record: record.tool_version),
)
"""What is told of an operation."""

STEP_COLUMNS: tuple[Column[StepCounts], ...] = (
    Column("step", lambda step: step.number, "STEP", number=True),
    Column("kind", lambda step: step.kind, "KIND"),
    Column("intended", lambda step: step.intended, "INTENDED", number=True),
    Column(
        "results",
        lambda step: None if step.results is None else dict(sorted(step.results.items())),
        "RESULTS",
        human=lambda step: "unknown" if step.results is None else _listed(step.results),
    ),
)
"""What is told of a step."""


def _size(size: Any) -> str:
    return format_size(size) if isinstance(size, int) else ""


def _listed(results: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(results.items()))
