"""Does a policy speak of what is there? A glob that matches nothing is a typing mistake, and keeps or deletes nothing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Set
from datetime import datetime

from xcomctl.errors import UsageError
from xcomctl.globs import duckdb_condition
from xcomctl.inventory.build import Inventory
from xcomctl.inventory.classify import count
from xcomctl.policy import Pin, Policy, Rule

_LIST_DAGS = "xcomctl ls --limit 0 --columns dag_id shows the DAGs that have XComs"


def require_matches(inventory: Inventory, policy: Policy, known_dags: Set[str], *, now: datetime) -> None:
    """Raise UsageError if a glob of the policy matches nothing, neither in the database nor in the stores.

    `known_dags` are those of the database; the inventory is filled. `--dag` and the DAG of a rule have to match a DAG,
    and the whole rule an XCom, unless its DAGs have none yet. A pin in force has to match an XCom: somebody counts
    on it, and it protects nothing.
    """
    require_dags(inventory, policy, known_dags)
    for rule in policy.rules:
        _require_rule(inventory, rule)
    for pin in policy.pins:
        if pin.holds_at(now):
            _require_pin(inventory, pin)


def require_dags(inventory: Inventory, policy: Policy, known_dags: Set[str]) -> None:
    """Raise UsageError if `--dag` or the DAG of a rule matches no DAG: what can be told where only a shard was read.

    Makes the table `names`, of what is in the inventory and `known_dags`.
    """
    if policy.dag is None and not policy.rules:
        return
    inventory.run(
        """
        CREATE OR REPLACE TABLE names AS
        SELECT DISTINCT dag_id, task_id, key FROM rows
        UNION SELECT dag_id, task_id, xcom_key FROM objects WHERE dag_id IS NOT NULL
        UNION SELECT unnest($known::VARCHAR[]), NULL, NULL
        """,
        {"known": sorted(known_dags)},
    )
    if policy.dag is not None and not _found(inventory, "names", {"dag_id": policy.dag}):
        raise UsageError(
            f"--dag {policy.dag!r} matches no DAG, neither in the database nor in the stores", hint=_LIST_DAGS
        )
    for rule in policy.rules:
        if rule.dag is not None and not _found(inventory, "names", {"dag_id": rule.dag}):
            raise UsageError(
                f"{rule.place}: dag = {rule.dag!r} matches no known DAG",
                hint=_near(inventory, "dag_id", rule.dag, {}) or _LIST_DAGS,
            )


def _require_rule(inventory: Inventory, rule: Rule) -> None:
    within = {"dag_id": rule.dag}
    for column, name, glob in (("task_id", "task", rule.task), ("key", "key", rule.key)):
        if glob is None or not _found(inventory, "names", within | {column: "*"}):
            continue
        if not _found(inventory, "names", within | {column: glob}):
            raise UsageError(
                f"{rule.place}: {name} = {glob!r} matches no XCom of{_in_words(within)}",
                hint=_near(inventory, column, glob, within) or "xcomctl ls --dag DAG shows what there is",
            )
        within[column] = glob


def _require_pin(inventory: Inventory, pin: Pin) -> None:
    globs = pin.globs
    if _found(inventory, "rows", globs):
        return
    globs["xcom_key"] = globs.pop("key")
    if not _found(inventory, "objects", globs):
        raise UsageError(
            f"{pin.place}: this pin keeps nothing, no XCom matches{_in_words(globs)}",
            hint="correct its globs; if what it kept is gone, remove it",
        )


def _found(inventory: Inventory, table: str, globs: Mapping[str, str | None]) -> bool:
    """Whether some record of a table matches all globs; None matches anything, also NULL."""
    parameters: dict[str, object] = {}
    condition = duckdb_condition(globs, parameters)
    query = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {condition} LIMIT 1)"  # noqa: S608
    return bool(count(inventory, query, parameters))


def _in_words(globs: Mapping[str, str | None]) -> str:
    """The globs in words, as in ` dag 'etl_*', task 'load'`."""
    given = [
        f"{column.removesuffix('_id').removeprefix('xcom_')} {glob!r}"
        for column, glob in globs.items()
        if glob
    ]
    return f" {', '.join(given)}" if given else " any DAG"


def _near(inventory: Inventory, column: str, glob: str, within: Mapping[str, str | None]) -> str | None:
    """A suggestion of names that look like the glob, among those of the DAGs that match."""
    parameters: dict[str, object] = {}
    of_the_dags = duckdb_condition({"dag_id": within.get("dag_id")}, parameters)
    found = inventory.run(
        f"SELECT DISTINCT {column} FROM names WHERE {column} IS NOT NULL AND {of_the_dags} ORDER BY 1",  # noqa: S608
        parameters,
    )
    near = difflib.get_close_matches(glob.strip("*"), [name for (name,) in found], n=2, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else None
