"""A selection as SQL. The SQL may let too much through, never too little; `SelectionFilter.matches` is exact."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from xcomctl.airflow.interface import Selection
from xcomctl.airflow.queries import TableQuery, quote
from xcomctl.airflow.url import EngineName
from xcomctl.models import Row

_GLOBS = {"dag": "dag_id", "run": "run_id", "task": "task_id", "key": "key"}
_WILDCARDS = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class SelectionFilter:
    """A selection that is ready to be asked for, and to be checked."""

    selection: Selection
    engine: EngineName
    patterns: Mapping[str, re.Pattern[str]]

    @classmethod
    def of(cls, selection: Selection, engine: EngineName) -> SelectionFilter:
        """Compile the globs of a selection."""
        globs = {field: getattr(selection, option) for option, field in _GLOBS.items()}
        patterns = {
            field: re.compile(fnmatch.translate(glob)) for field, glob in globs.items() if glob is not None
        }
        return cls(selection, engine, patterns)

    @property
    def exact(self) -> bool:
        """Whether the SQL alone lets through exactly what matches, so that the database can apply a limit."""
        chosen = self.selection
        plain = all(not _WILDCARDS.search(getattr(chosen, option) or "") for option in _GLOBS)
        if self.engine == "sqlite":
            return plain and chosen.since is None and chosen.until is None
        # A MySQL column may compare without regard to case; PostgreSQL never does.
        texts = (*(getattr(chosen, option) for option in _GLOBS), chosen.state)
        return plain and (self.engine == "postgresql" or not any(texts))

    def condition(self, table: TableQuery) -> tuple[str, dict[str, Any]]:
        """SQL over a table's expressions, and its parameters; '' where everything is wanted."""
        chosen = self.selection
        parts: list[str] = []
        parameters: dict[str, Any] = {}
        for option, field in _GLOBS.items():
            glob = getattr(chosen, option)
            if glob is None:
                continue
            if _WILDCARDS.search(glob):
                parts.append(f"{table.expressions[field]} LIKE :{option} ESCAPE '!'")
                parameters[option] = like_pattern(glob)
            else:
                parts.append(f"{table.expressions[field]} = :{option}")
                parameters[option] = glob
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
            if value is None or not pattern.match(value):
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


def like_pattern(glob: str) -> str:
    """A LIKE pattern (escape character `!`) that matches whatever the glob matches, and perhaps more."""
    pattern = ""
    position = 0
    while position < len(glob):
        character = glob[position]
        position += 1
        if character == "*":
            pattern += "%"
        elif character == "?":
            pattern += "_"
        elif character == "[":
            end = _end_of_set(glob, position)
            # An open bracket that is never closed stands for itself.
            pattern += "_" if end else "["
            position = end or position
        else:
            pattern += f"!{character}" if character in "!%_" else character
    return pattern


def _end_of_set(glob: str, start: int) -> int | None:
    """Where the set of characters that opened before `start` ends; a `]` right at its start belongs to it."""
    first = start + 1 if glob[start : start + 1] == "!" else start
    end = glob.find("]", first + 1 if glob[first : first + 1] == "]" else first)
    return None if end < 0 else end + 1
