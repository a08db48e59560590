"""The SQL of a policy against the same policy in a few lines of Python, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from itertools import product
from random import Random
from typing import Any

import pytest

from tests.services.sweeps import sweep
from tests.unit.test_inventory import NOW, ROOT, row, rows
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.inventory import Inventory
from xcomctl.policy import Pin, Policy, Rule, expiring_rows_sql, verdicts_sql

DAY = timedelta(days=1)

DAGS, TASKS, KEYS, RUNS = ["etl", "eta"], ["load", "lead"], ["k", "l"], ["r1", "r2", "r3", "r4"]
_GLOBS = {"dag": ["etl", "eta", "*", "e*", "?tl"], "task": ["load", "l*", "?ead"], "key": ["k", "[!l]", "l"]}


def some_rule(chance: Random) -> Rule:
    """A rule that lets much go and keeps little."""
    globs = {name: chance.choice(given) for name, given in _GLOBS.items() if chance.random() < 0.4}
    return Rule(
        **globs,
        older_than=chance.choice([None, 1 * DAY, 5 * DAY, 20 * DAY]),
        keep_last=chance.choice([None, 0, 0, 1, 2]),
        keep_last_per_key=chance.choice([None, None, 1, 2]),
        keep_failed=chance.choice([None, True, 15 * DAY, 35 * DAY]),
        min_size=chance.choice([None, None, 2, 3]),
    )


def some_policy(chance: Random) -> Policy:
    """Up to three rules, now and then a pin and a scope."""
    pins = [
        Pin(
            "because",
            dag=chance.choice([None, "etl", "e?a"]),
            run=chance.choice([*RUNS, "r[12]"]),
            key=chance.choice([None, "k"]),
            until=chance.choice([None, NOW - DAY, NOW, NOW + DAY]),
        )
        for _ in range(chance.choice([0, 0, 1, 2]))
    ]
    return Policy(
        older_than=chance.choice([None, 3 * DAY]),
        keep_last=chance.choice([None, 0, 1]),
        dag=chance.choice([None, None, None, "etl", "e*"]),
        rules=tuple(some_rule(chance) for _ in range(chance.randint(0, 3))),
        pins=tuple(pins),
    )


def some_rows(chance: Random) -> list[dict[str, Any]]:
    """A row in half of all places, of runs that are mostly finished and of any age."""
    runs = {
        (dag, run): {
            "run_state": chance.choice(["success"] * 5 + ["failed"] * 4 + ["running", None]),
            "run_at": None if chance.random() < 0.1 else NOW - chance.randint(-2, 40) * DAY,
            "run_ended_at": None if chance.random() < 0.3 else NOW - chance.randint(0, 40) * DAY,
        }
        for dag in DAGS
        for run in RUNS
    }
    return [
        row(
            b"x" * chance.randint(1, 4),
            dag_id=dag,
            run_id=run,
            task_id=task,
            key=key,
            map_index=index,
            written_at=None if chance.random() < 0.05 else NOW - chance.randint(0, 40) * DAY,
            superseded=chance.random() < 0.1,
            **runs[dag, run],
        )
        for dag, run, task, key, index in product(DAGS, RUNS, TASKS, KEYS, (-1, 0))
        if chance.random() < 0.5
    ]


def expected(given_rows: Sequence[dict[str, Any]], policy: Policy) -> set[int]:
    """Which rows may go, said in the plainest way."""
    counted = [
        one
        for one in given_rows
        if one["run_state"] in ("success", "failed") and (one["run_at"] or NOW) <= NOW
    ]

    def newest(among: Sequence[dict[str, Any]]) -> list[str]:
        runs = {one["run_id"]: one["run_at"] for one in among}
        return sorted(runs, key=lambda run: (runs[run] is not None, runs[run] or NOW, run), reverse=True)

    def goes(one: dict[str, Any]) -> bool:
        if one not in counted or not _match(policy.dag, one["dag_id"]):
            return False
        if any(_keeps(pin, one) for pin in policy.pins):
            return False
        rule = next(rule for rule in policy.ordered_rules if _is_for(rule, one))
        if rule.older_than is None and rule.keep_last is None:
            return False
        same_dag = [other for other in counted if other["dag_id"] == one["dag_id"]]
        kept = 1 if rule.keep_last is None else rule.keep_last
        if one["run_id"] in newest(same_dag)[:kept]:
            return False
        members = ("task_id", "map_index", "key", "superseded")
        same_key = [other for other in same_dag if all(other[name] == one[name] for name in members)]
        if one["run_id"] in newest(same_key)[: rule.keep_last_per_key or 0]:
            return False
        if len(one["raw"]) < (rule.min_size or 0):
            return False
        written: datetime | None = one["written_at"]
        since = None if written is None else max(written, one["run_ended_at"] or written)
        if one["run_state"] == "failed" and _within(rule.keep_failed, since):
            return False
        return rule.older_than is None or (since is not None and NOW - since > rule.older_than)

    return {number for number, one in enumerate(given_rows) if goes(one)}


def _within(limit: Any, since: datetime | None) -> bool:
    return limit is True or (limit is not None and (since is None or NOW - since <= limit))


def _keeps(pin: Pin, one: dict[str, Any]) -> bool:
    globs = {"dag_id": pin.dag, "run_id": pin.run, "task_id": pin.task, "key": pin.key}
    return (pin.until is None or pin.until > NOW) and all(
        _match(glob, one[name]) for name, glob in globs.items()
    )


def _match(glob: str | None, text: str) -> bool:
    return glob is None or fnmatchcase(text, glob)


def _is_for(rule: Rule, one: dict[str, Any]) -> bool:
    return (
        _match(rule.dag, one["dag_id"]) and _match(rule.task, one["task_id"]) and _match(rule.key, one["key"])
    )


@pytest.mark.parametrize("seed", sweep(range(60), lambda seed: seed < 15))
def test_the_sql_of_a_policy_means_what_the_policy_says(seed: int) -> None:
    """For any policy and any rows the same rows go; each has a reason, and each that stays has something that keeps it."""
    chance = Random(seed)  # noqa: S311 - a world that is the same each time, not a secret
    policy, given_rows = some_policy(chance), some_rows(chance)
    with Inventory(DialectRegistry(), [ROOT]) as inventory:
        inventory.add_rows([rows(*given_rows)])
        query, parameters = expiring_rows_sql(policy, NOW)
        going = inventory.run(f"SELECT row_id, reason FROM ({query})", parameters)
        query, parameters = verdicts_sql(policy, NOW)
        verdicts = inventory.run(f"SELECT row_id, expires, reason, kept_by FROM ({query})", parameters)
    assert sorted(row_id for row_id, _ in going) == sorted(expected(given_rows, policy))
    assert {row_id: reason for row_id, expires, reason, _ in verdicts if expires} == dict(going)
    assert [bool(keeps) for _, _, _, keeps in verdicts] == [not expires for _, expires, _, _ in verdicts]
    assert [row_id for row_id, *_ in sorted(verdicts)] == list(range(len(given_rows)))
