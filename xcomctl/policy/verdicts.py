"""A policy as SQL over an inventory: one list of what keeps a row, from which both what goes and why follow."""

# Built from constants and numbers; every value is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from xcomctl.globs import duckdb_condition
from xcomctl.models import TERMINAL_RUN_STATES
from xcomctl.policy.model import Pin, Policy, Rule
from xcomctl.units import exact_duration, format_time

SqlQuery = tuple[str, dict[str, object]]

_OF_OBJECTS = {"dag_id": "o.dag_id", "run_id": "o.run_id", "task_id": "o.task_id", "key": "o.xcom_key"}
"""The columns of an object that say what the columns of a row do."""

_TERMINAL = ", ".join(f"'{state}'" for state in TERMINAL_RUN_STATES)


@dataclass(frozen=True, slots=True)
class _Keep:
    """Something that keeps a row: a condition on `judged`, why, and when it ends by itself, all as SQL.

    A condition that is neither true nor false keeps.
    """

    kind: str
    condition: str
    reason: str
    ends_at: str = "NULL::TIMESTAMP"


_DAYS = "format('{:.1f}', epoch($now - age_from) / 86400) || 'd'"

_KEEPS = (
    _Keep("archived", "archived", "'it is in an archive table'"),
    _Keep(
        "run_active",
        f"run_state IS NULL OR run_state NOT IN ({_TERMINAL})",
        "CASE WHEN run_state IS NULL THEN 'its run is not known' ELSE 'its run is not over: ' || run_state END",
    ),
    _Keep(
        "run_in_future",
        f"coalesce(run_state IN ({_TERMINAL}), false) AND run_place IS NULL",
        "'its run is dated in the future'",
    ),
    _Keep(
        "unresolved",
        "unresolved",
        "'its reference cannot be followed with the stores at hand'",
    ),
    _Keep("not_in_scope", "NOT in_scope", "'--dag leaves out its DAG'"),
    _Keep("pinned", "pin_no IS NOT NULL", "'pinned: ' || pin_reason", "pin_until"),
    _Keep("no_rule", "NOT lets_go", "'no rule lets it go' || rule_place"),
    _Keep(
        "keep_last",
        "lets_go AND run_place IS NOT NULL AND run_place <= runs_kept",
        "'keep_last: its run is ' || CASE WHEN runs_kept = 1 THEN 'the newest finished one of '"
        " ELSE 'number ' || run_place || ' of the newest ' || runs_kept || ' finished runs of ' END"
        " || dag_id || rule_place",
    ),
    _Keep(
        "keep_last_per_key",
        "lets_go AND per_key > 0 AND key_place IS NOT NULL AND key_place <= per_key",
        "'keep_last_per_key: it is ' || CASE WHEN per_key = 1 THEN 'the newest one'"
        " ELSE 'number ' || key_place || ' of the newest ' || per_key END || ' of its task and key' || rule_place",
    ),
    _Keep(
        "keep_failed",
        "lets_go AND keeps_failed AND coalesce(run_state = 'failed', false)"
        " AND (failed_cutoff IS NULL OR age_from IS NULL OR NOT age_from < failed_cutoff)",
        "'keep_failed: its run failed, and is kept ' || coalesce(failed_text, 'for ever') || rule_place",
        "age_from + ($now - failed_cutoff)",
    ),
    _Keep(
        "min_size",
        "lets_go AND whole_size < min_size",
        "'min_size: ' || whole_size || ' B < ' || min_size || ' B' || rule_place",
    ),
    # A row whose time cannot be read is of unknown age, whatever the age of its run.
    _Keep(
        "age_unknown",
        "lets_go AND cutoff IS NOT NULL AND age_from IS NULL",
        "'the time at which it was written cannot be read'",
    ),
    _Keep(
        "young",
        "lets_go AND cutoff IS NOT NULL AND age_from IS NOT NULL AND NOT age_from < cutoff",
        f"'older_than: ' || {_DAYS} || ' <= ' || age_text || rule_place",
        "age_from + ($now - cutoff)",
    ),
)

_EXPIRED = (
    f"CASE WHEN cutoff IS NOT NULL THEN 'expired: ' || {_DAYS} || ' > ' || age_text"
    " ELSE 'expired: beyond the newest ' || runs_kept || ' finished runs of ' || dag_id END || rule_place"
)

_EXPIRES = " AND ".join(f"NOT coalesce({keep.condition}, true)" for keep in _KEEPS)


def expiring_rows_sql(policy: Policy, now: datetime) -> SqlQuery:
    """A query over an inventory that gives `(row_id, reason)` of each row that may go, with its parameters.

    A row whose reference cannot be followed with the roots at hand stays: its going would leave an object that nothing
    names.
    """
    if not policy.expires_anything:
        return "SELECT NULL::BIGINT AS row_id, NULL::VARCHAR AS reason WHERE false", {}
    judged, parameters = _judged(policy, now)
    return f"{judged} SELECT row_id, {_EXPIRED} AS reason FROM judged WHERE {_EXPIRES}", parameters


def verdicts_sql(policy: Policy, now: datetime) -> SqlQuery:
    """A query over an inventory that gives the verdict on every row, with its parameters.

    Columns: `row_id`, `rule_no` (in `Policy.ordered_rules`), `expires`, `reason` (of a row that may go), and `kept_by`, a
    list of `{kind, reason, ends_at}` of all that keeps it; `ends_at` (UTC without zone) is when that ends by itself, or
    NULL.
    """
    kept_by = ", ".join(
        f"CASE WHEN coalesce({keep.condition}, true)"
        f" THEN {{'kind': '{keep.kind}', 'reason': {keep.reason}, 'ends_at': {keep.ends_at}}} END"
        for keep in _KEEPS
    )
    judged, parameters = _judged(policy, now)
    query = f"""
        {judged}
        SELECT row_id, rule_no, {_EXPIRES} AS expires, CASE WHEN {_EXPIRES} THEN {_EXPIRED} END AS reason,
               list_filter([{kept_by}], lambda keep: keep IS NOT NULL) AS kept_by
        FROM judged
    """
    return query, parameters


def pinned_objects_sql(policy: Policy, now: datetime) -> SqlQuery:
    """A query over an inventory that gives `(object_id, reason)` of each object that a pin keeps, with its parameters.

    A pin keeps an object whose key's coordinates match. A coordinate that neither the key nor a row tells may be the pinned
    one, and counts as it.
    """
    pins = _pins_in_force(policy, now)
    if not pins:
        return "SELECT NULL::BIGINT AS object_id, NULL::VARCHAR AS reason WHERE false", {}
    parameters: dict[str, object] = {}
    chosen = _choice(
        [
            duckdb_condition(
                {_OF_OBJECTS[column]: glob for column, glob in pin.globs.items()},
                parameters,
                prefix=f"pin{number}_",
                unknown="n.object_id IS NULL",
            )
            for number, pin in enumerate(pins)
        ]
    )
    reasons = _choice([f"$reason{number}" for number in range(len(pins))], of="pin_no")
    parameters |= {f"reason{number}": f"pinned: {_pin_text(pin)}" for number, pin in enumerate(pins)}
    query = f"""
        SELECT object_id, {reasons} AS reason
        FROM (
            SELECT o.object_id, {chosen} AS pin_no
            FROM objects o LEFT JOIN (SELECT DISTINCT object_id FROM links) n ON n.object_id = o.object_id
            WHERE o.dialect IS NOT NULL
        )
        WHERE pin_no IS NOT NULL
    """
    return query, parameters


def _judged(policy: Policy, now: datetime) -> SqlQuery:
    """CTEs that end in `judged`: every row, once, with all that the conditions of `_KEEPS` need."""
    parameters: dict[str, object] = {"now": now.replace(tzinfo=None)}
    rules = policy.ordered_rules
    limits = ", ".join(_limits(number, rule, now, parameters) for number, rule in enumerate(rules))
    in_scope = duckdb_condition({"w.dag_id": policy.dag}, parameters, prefix="scope_")
    query = f"""
        WITH runs AS (
            SELECT dag_id, run_id, max(run_at) AS run_at FROM rows
            WHERE NOT archived AND run_state IN ({_TERMINAL}) AND coalesce(run_at, $now) <= $now
            GROUP BY dag_id, run_id
        ), ranked AS (
            SELECT dag_id, run_id,
                   row_number() OVER (PARTITION BY dag_id ORDER BY run_at DESC NULLS LAST, run_id DESC) AS place
            FROM runs
        ), limits(rule_no, rule_place, lets_go, cutoff, age_text, runs_kept, per_key, keeps_failed, failed_cutoff,
                  failed_text, min_size) AS (
            VALUES {limits}
        ), assigned AS ({_assigned(rules, parameters)}
        ), pinned AS ({_pinned_rows(_pins_in_force(policy, now), parameters)}
        ), key_places AS ({_KEY_PLACES if any(rule.keep_last_per_key for rule in rules) else _NO_KEY_PLACES}
        ), object_sizes AS ({_OBJECT_SIZES if any(rule.min_size for rule in rules) else _NO_OBJECT_SIZES}
        ), judged AS (
            SELECT w.row_id, w.archived, w.dag_id, w.run_state, r.place AS run_place, u.row_id IS NOT NULL AS unresolved,
                   {in_scope} AS in_scope, p.pin_no, p.pin_reason, p.pin_until, l.*, k.place AS key_place,
                   w.size + coalesce(z.size, 0) AS whole_size,
                   CASE WHEN w.written_at IS NOT NULL
                        THEN greatest(w.written_at, coalesce(w.run_ended_at, w.written_at)) END AS age_from
            FROM rows w
            LEFT JOIN ranked r ON r.dag_id = w.dag_id AND r.run_id = w.run_id
            LEFT JOIN assigned a ON a.dag_id = w.dag_id AND a.task_id = w.task_id AND a.key = w.key
            -- The last rule is for all rows.
            JOIN limits l ON l.rule_no = coalesce(a.rule_no, {len(rules) - 1})
            LEFT JOIN unresolved_rows u ON u.row_id = w.row_id
            LEFT JOIN pinned p ON p.row_id = w.row_id
            LEFT JOIN key_places k ON k.row_id = w.row_id
            LEFT JOIN object_sizes z ON z.row_id = w.row_id
        )
    """
    return query, parameters


def _assigned(rules: Sequence[Rule], parameters: dict[str, object]) -> str:
    """The number of the rule for each `(dag_id, task_id, key)`, as far as it is not the last one."""
    chosen = _choice(
        [
            duckdb_condition(rule.globs, parameters, prefix=f"rule{number}_")
            for number, rule in enumerate(rules[:-1])
        ]
    )
    if len(rules) == 1:
        return "SELECT NULL AS dag_id, NULL AS task_id, NULL AS key, NULL::INTEGER AS rule_no WHERE false"
    return f"""
            SELECT dag_id, task_id, key, {chosen} AS rule_no
            FROM (SELECT DISTINCT dag_id, task_id, key FROM rows WHERE NOT archived)"""


def _pinned_rows(pins: Sequence[Pin], parameters: dict[str, object]) -> str:
    """Why and until when a pin keeps a row, for each row that one keeps."""
    if not pins:
        return "SELECT NULL::BIGINT AS row_id, NULL AS pin_no, NULL AS pin_reason, NULL::TIMESTAMP AS pin_until WHERE false"
    chosen = _choice(
        [duckdb_condition(pin.globs, parameters, prefix=f"pin{number}_") for number, pin in enumerate(pins)]
    )
    for number, pin in enumerate(pins):
        parameters[f"reason{number}"] = _pin_text(pin)
        parameters[f"until{number}"] = None if pin.until is None else pin.until.replace(tzinfo=None)
    reason = _choice([f"$reason{number}" for number in range(len(pins))], of="pin_no")
    until = _choice([f"$until{number}::TIMESTAMP" for number in range(len(pins))], of="pin_no")
    return f"""
            SELECT row_id, pin_no, {reason} AS pin_reason, {until} AS pin_until
            FROM (SELECT row_id, {chosen} AS pin_no FROM rows) WHERE pin_no IS NOT NULL"""


# Attempts that were superseded are nobody's newest value, and do not take the place of one.
_KEY_PLACES = """
            SELECT w.row_id, dense_rank() OVER (
                       PARTITION BY w.dag_id, w.task_id, w.map_index, w.key, coalesce(w.superseded, false)
                       ORDER BY r.place
                   ) AS place
            FROM rows w JOIN ranked r ON r.dag_id = w.dag_id AND r.run_id = w.run_id
            WHERE NOT w.archived"""
_NO_KEY_PLACES = "SELECT NULL::BIGINT AS row_id, NULL::BIGINT AS place WHERE false"
_OBJECT_SIZES = """
            SELECT l.row_id, sum(o.size) AS size
            FROM (SELECT DISTINCT row_id, object_id FROM links WHERE exact) l JOIN objects o USING (object_id)
            GROUP BY l.row_id"""
_NO_OBJECT_SIZES = "SELECT NULL::BIGINT AS row_id, NULL::BIGINT AS size WHERE false"


def _limits(number: int, rule: Rule, now: datetime, parameters: dict[str, object]) -> str:
    """One record of `limits`."""
    at = now.replace(tzinfo=None)
    older, failed = rule.older_than, rule.keep_failed
    failed_for = failed if isinstance(failed, timedelta) else None
    values: tuple[tuple[object, str], ...] = (
        ("" if rule.place is None else f" ({rule.place})", "VARCHAR"),
        (rule.lets_go, "BOOLEAN"),
        (None if older is None else at - older, "TIMESTAMP"),
        (None if older is None else exact_duration(older), "VARCHAR"),
        (rule.runs_kept, "BIGINT"),
        (rule.keep_last_per_key or 0, "BIGINT"),
        (failed is not None, "BOOLEAN"),
        (None if failed_for is None else at - failed_for, "TIMESTAMP"),
        (None if failed_for is None else exact_duration(failed_for), "VARCHAR"),
        (rule.min_size or 0, "BIGINT"),
    )
    names = [f"limit{number}_{column}" for column in range(len(values))]
    parameters |= dict(zip(names, (value for value, _ in values), strict=True))
    typed = ", ".join(f"${name}::{kind}" for name, (_, kind) in zip(names, values, strict=True))
    return f"({number}, {typed})"


def _pins_in_force(policy: Policy, now: datetime) -> list[Pin]:
    """The pins that hold, those that hold longest first: the first that matches is told."""
    holding = [pin for pin in policy.pins if pin.holds_at(now)]
    return sorted(holding, key=lambda pin: (pin.until is not None, -(pin.until or now).timestamp()))


def _pin_text(pin: Pin) -> str:
    until = "" if pin.until is None else f" until {format_time(pin.until)}"
    return f"{pin.reason}{until}" + ("" if pin.place is None else f" ({pin.place})")


def _choice(cases: list[str], of: str = "") -> str:
    """The number of the first condition that holds, or with `of` the case of that number; NULL if there is none."""
    if not cases:
        return "NULL"
    if of:
        return (
            f"CASE {of} "
            + " ".join(f"WHEN {number} THEN {case}" for number, case in enumerate(cases))
            + " END"
        )
    return "CASE " + " ".join(f"WHEN {case} THEN {number}" for number, case in enumerate(cases)) + " END"
