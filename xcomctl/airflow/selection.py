"""A selection as SQL. The SQL may let too much through, never too little; `SelectionFilter.matches` is exact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from xcomctl.airflow.interface import Selection
from xcomctl.airflow.queries import TableQuery, quote
from xcomctl.airflow.url import EngineName
from xcomctl.globs import like_pattern, only_name, python_pattern
from xcomctl.models import Row


@dataclass(frozen=True, slots=True)
class SelectionFilter:
    """A selection that is ready to be asked for, and to be checked."""

    selection: Selection
    engine: EngineName
    patterns: Mapping[str, re.Pattern[str]]

    @classmethod
    def of(cls, selection: Selection, engine: EngineName) -> SelectionFilter:
        """Compile the globs of a selection."""
        patterns = {
            field: python_pattern(glob) for field, glob in selection.globs.items() if glob is not None
        }
        return cls(selection, engine, patterns)

    @property
    def exact(self) -> bool:
        """Whether the SQL alone lets through exactly what matches, so that the database can apply a limit."""
        chosen = self.selection
        globs = [glob for glob in chosen.globs.values() if glob is not None]
        plain = all(only_name(glob) is not None for glob in globs)
        if self.engine == "sqlite":
            return plain and chosen.since is None and chosen.until is None
        # A MySQL column may compare without regard to case; PostgreSQL never does.
        return plain and (self.engine == "postgresql" or not (globs or chosen.state))

    def condition(self, table: TableQuery) -> tuple[str, dict[str, Any]]:
        """SQL over a table's expressions, and its parameters; '' where everything is wanted."""
        chosen = self.selection
        parts: list[str] = []
        parameters: dict[str, Any] = {}
        for field, glob in chosen.globs.items():
            if glob is None:
                continue
            name = only_name(glob)
            comparison = f"LIKE :{field} ESCAPE '!'" if name is None else f"= :{field}"
            parts.append(f"{table.expressions[field]} {comparison}")
            parameters[field] = like_pattern(glob) if name is None else name
        if chosen.map_index is not None:
            parts.append(f"{table.expressions['map_index']} = :map_index")
            parameters["map_index"] = chosen.map_index
        if chosen.state is not None:
            parts.append(f"{table.expressions['run_state']} = :state")
            parameters["state"] = chosen.state
        for option, at, operator in (("since", chosen.since, ">="), ("until", chosen.until, "<")):
            if at is not None:
                parts.append(self._compare_time(operator, option))
                parameters[option] = self._time_parameter(at)
        if not chosen.all_attempts and table.expressions["superseded"] != "0":
            parts.append(f"{table.expressions['superseded']} = 0")
        return " AND ".join(parts), parameters

    def matches(self, row: Row) -> bool:
        """Whether a row is meant, exactly."""
        chosen = self.selection
        for field, pattern in self.patterns.items():
            value = getattr(row, field)
            if value is None or not pattern.fullmatch(value):
                return False
        if chosen.map_index is not None and row.map_index != chosen.map_index:
            return False
        if chosen.state is not None and row.run_state != chosen.state:
            return False
        if chosen.since is not None and (row.written_at is None or row.written_at < chosen.since):
            return False
        if chosen.until is not None and (row.written_at is None or row.written_at >= chosen.until):
            return False
        return chosen.all_attempts or not row.superseded

    def _compare_time(self, operator: str, option: str) -> str:
        column = f"x.{quote('timestamp', self.engine)}"
        if self.engine == "sqlite":
            # julianday reads every spelling, but only to the millisecond: leave room of about a second.
            slack = "- 0.00001" if operator == ">=" else "+ 0.00001"
            return f"julianday({column}) {operator} julianday(:{option}) {slack}"
        return f"{column} {operator} :{option}"

    def _time_parameter(self, at: datetime) -> datetime | str:
        utc = at.astimezone(timezone.utc)
        if self.engine == "postgresql":
            return utc
        naive = utc.replace(tzinfo=None)
        return naive.isoformat(sep=" ", timespec="milliseconds") if self.engine == "sqlite" else naive
