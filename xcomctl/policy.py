"""Retention policy: which rows may go, as SQL over the inventory's rows, with the reason for every verdict."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from xcomctl.models import TERMINAL_RUN_STATES
from xcomctl.units import exact_duration


@dataclass(frozen=True, slots=True)
class Policy:
    """What may go. With neither `older_than` nor `keep_last` set by the user, nothing expires.

    `older_than` is measured from the later of two times: when the row was written, and when its run ended.
    `keep_last` counts, per DAG, the newest finished runs that have XComs; they are kept whatever their age.
    """

    older_than: timedelta | None = None
    keep_last: int | None = None
    dag: str | None = None
    """Glob: only XComs of these DAGs are judged."""

    @property
    def expires_anything(self) -> bool:
        """Whether the policy can let a row go at all."""
        return self.older_than is not None or self.keep_last is not None

    @property
    def runs_kept(self) -> int:
        """Newest finished runs that are kept per DAG: one unless told otherwise, because tasks pull from prior runs."""
        return 1 if self.keep_last is None else self.keep_last

    def expiring_rows_sql(self, now: datetime) -> tuple[str, dict[str, object]]:
        """A query over `rows` (and `refs`) that gives `(row_id, reason)` of each row that may go, with parameters.

        A row whose reference cannot be followed with the roots at hand stays: its going would leave an object that
        nothing names.
        """
        if not self.expires_anything:
            return "SELECT NULL::BIGINT AS row_id, NULL::VARCHAR AS reason WHERE false", {}
        at = now.replace(tzinfo=None)
        age = "greatest(w.written_at, coalesce(w.run_ended_at, w.written_at))"
        states = ", ".join(f"'{state}'" for state in TERMINAL_RUN_STATES)
        conditions = ["NOT w.archived", f"w.run_state IN ({states})", "r.place > $kept", "u.row_id IS NULL"]
        parameters: dict[str, object] = {"kept": self.runs_kept, "now": at}
        reason = "'expired: beyond the newest ' || $kept || ' finished runs of ' || w.dag_id"
        if self.older_than is not None:
            # A row whose time cannot be read is of unknown age, whatever the age of its run.
            conditions.append(f"w.written_at IS NOT NULL AND {age} < $cutoff")
            parameters["cutoff"] = at - self.older_than
            days = f"format('{{:.1f}}', epoch($now - {age}) / 86400)"
            reason = f"'expired: ' || {days} || 'd > {exact_duration(self.older_than)}'"
        if self.dag is not None:
            conditions.append("regexp_full_match(w.dag_id, $dag)")
            parameters["dag"] = glob_pattern(self.dag)
        sql = f"""
            WITH runs AS (
                SELECT dag_id, run_id, max(run_at) AS run_at FROM rows
                WHERE NOT archived AND run_state IN ({states}) AND coalesce(run_at, $now) <= $now
                GROUP BY dag_id, run_id
            ), ranked AS (
                SELECT dag_id, run_id,
                       row_number() OVER (PARTITION BY dag_id ORDER BY run_at DESC NULLS LAST, run_id DESC) AS place
                FROM runs
            )
            SELECT w.row_id, {reason} AS reason
            FROM rows w
            JOIN ranked r USING (dag_id, run_id)
            LEFT JOIN unresolved_rows u ON u.row_id = w.row_id
            WHERE {" AND ".join(conditions)}
        """  # noqa: S608 - built from constants; every value is a parameter
        return sql, parameters


_SET = re.compile(r"\[(!?)(\]?[^\]]*)\]")


def glob_pattern(glob: str) -> str:
    """A glob as `fnmatch` understands it, as a regular expression of RE2 for the whole text.

    DuckDB's own GLOB compares bytes: `[é]` would also match half of `ñ`, and so another DAG.
    """
    pattern, position = "(?s)", 0
    while position < len(glob):
        character = glob[position]
        found = _SET.match(glob, position)
        if found is not None:
            pattern += _set_pattern(found[2], negated=bool(found[1]))
            position = found.end()
            continue
        pattern += {"*": ".*", "?": "."}.get(character) or _exactly(character)
        position += 1
    return pattern


def _set_pattern(members: str, *, negated: bool) -> str:
    parts, position = "", 0
    while position < len(members):
        first = last = members[position]
        position += 1
        if members[position : position + 1] == "-" and position + 1 < len(members):
            last = members[position + 1]
            position += 2
        # A range that runs backwards holds nothing.
        if first <= last:
            parts += f"{_exactly(first)}-{_exactly(last)}"
    if not parts:
        return "." if negated else r"[^\x{0}-\x{10FFFF}]"
    return f"[{'^' if negated else ''}{parts}]"


def _exactly(character: str) -> str:
    return f"\\x{{{ord(character):X}}}"
