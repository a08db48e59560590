"""Which rows and objects of an inventory are added up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from xcomctl.policy import glob_pattern

_NAMES = ("dag_id", "run_id", "task_id", "key")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Every field that is not None must match; the first four are globs as for `Selection`, case-sensitive.

    `since` is inclusive, `until` exclusive, on the time at which the row or the object was written.
    """

    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    key: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def condition(self, written: str) -> tuple[str, dict[str, object]]:
        """SQL over columns of `entries` or `objects`, whose time is `written`, and its parameters."""
        conditions, parameters = ["TRUE"], self._parameters()
        conditions += [f"regexp_full_match({name}, ${name})" for name in _NAMES if name in parameters]
        if self.since is not None:
            conditions.append(f"{written} >= $since")
        if self.until is not None:
            conditions.append(f"{written} < $until")
        return " AND ".join(conditions), parameters

    def _parameters(self) -> dict[str, object]:
        globs = {name: getattr(self, name) for name in _NAMES}
        times = {"since": self.since, "until": self.until}
        return {
            **{name: glob_pattern(glob) for name, glob in globs.items() if glob is not None},
            # The times of an inventory have no zone.
            **{
                name: at.astimezone(timezone.utc).replace(tzinfo=None)
                for name, at in times.items()
                if at is not None
            },
        }
