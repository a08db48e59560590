"""Guards that look at the orphans: could another deployment have written them?

`airflow db clean` takes the oldest runs, so that orphans of runs which are gone are usual, as long as the database has no
older run of their DAG. What was written before a root was collected whole, and still lies there, was referenced then:
of such a root only what was written since is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from xcomctl.airflow.interface import Source
from xcomctl.gc.plan import Guard, GuardGroup
from xcomctl.inventory import Inventory
from xcomctl.inventory.classify import count
from xcomctl.inventory.judging import Judged
from xcomctl.models import Root

FEW_RUNS = 20
"""So many orphans of runs that the database should have are those of runs that somebody deleted."""

_NAMES_SHOWN = 3

_GROUPS_SHOWN = 50

_SAMPLE = 1000
"""Objects that rows reference, by which it is told whether the keys of a dialect hold the ids of DAG and run as they are."""


def strangers(
    found: Judged, source: Source, seen: Sequence[tuple[Root, datetime]], deletes_orphans: bool
) -> tuple[Guard, Guard, Guard]:
    """`unknown_dags`, `unknown_runs` and `unused_dialects`, of the orphans that are younger than what was `seen`.

    Raises SourceError where the database has to be asked for its runs, and fails.
    """
    inventory = found.inventory
    _prepare(inventory, seen, deletes_orphans)
    _find_unknown_dags(found)
    return _unknown_dags(inventory), _unknown_runs(inventory, source), _unused_dialects(inventory)


def _prepare(inventory: Inventory, seen: Sequence[tuple[Root, datetime]], deletes_orphans: bool) -> None:
    """Fill `origins` (the orphans, and where they come from)."""
    inventory.run("CREATE OR REPLACE TEMP TABLE seen_roots (bucket VARCHAR, prefix VARCHAR, until TIMESTAMP)")
    inventory.insert(
        "seen_roots", [(root.bucket, root.prefix, until.replace(tzinfo=None)) for root, until in seen]
    )
    inventory.run(_ORIGINS, {"wanted": deletes_orphans})
    inventory.run(_USED_DIALECTS, {"most": _SAMPLE})
    inventory.run(_NAMED)
    inventory.run(_UNNAMED)


def _find_unknown_dags(found: Judged) -> None:
    """Fill `unknown_dags` with those of the DAGs that this database never knew."""
    inventory = found.inventory
    known = found.scan.known_dags | {
        dag for (dag,) in inventory.run("SELECT DISTINCT dag_id FROM rows WHERE dag_id IS NOT NULL")
    }
    named = inventory.run("SELECT DISTINCT dag_id FROM named_origins")
    inventory.run("CREATE OR REPLACE TEMP TABLE unknown_dags (dag_id VARCHAR)")
    inventory.insert("unknown_dags", [(dag,) for (dag,) in named if dag not in known])


def _unknown_dags(inventory: Inventory) -> Guard:
    value, groups = _groups(
        inventory, "dag_id", "named_origins WHERE dag_id IN (SELECT dag_id FROM unknown_dags)"
    )
    return Guard(
        "unknown_dags",
        not value,
        value,
        0,
        f"{value} orphaned objects are of DAGs that this database never knew ({_names(groups)}):"
        " another deployment may use this store",
        groups,
    )


def _unknown_runs(inventory: Inventory, source: Source) -> Guard:
    inventory.run(_SUSPECTS)
    value = count(inventory, "SELECT count(*) FROM suspects")
    groups: tuple[GuardGroup, ...] = ()
    if value > FEW_RUNS:
        _drop_explained(inventory, source)
        value, groups = _groups(inventory, "dag_id", "suspects")
    return Guard(
        "unknown_runs",
        value <= FEW_RUNS,
        value,
        FEW_RUNS,
        f"{value} orphaned objects are of runs that this database does not have, though it has older ones"
        f" ({_names(groups)}): another deployment may have the same DAGs",
        groups if value > FEW_RUNS else (),
    )


def _drop_explained(inventory: Inventory, source: Source) -> None:
    """Drop from `suspects` what was written before the oldest run that is left, and what is of a run that is there."""
    with source.snapshot() as snapshot:
        history = snapshot.run_history()
        inventory.run("CREATE OR REPLACE TEMP TABLE oldest_runs (dag_id VARCHAR, began_at TIMESTAMP)")
        inventory.insert(
            "oldest_runs", [(dag, at.replace(tzinfo=None)) for dag, at in history.oldest.items()]
        )
        since = history.whole_since
        inventory.run(_DROP_OLDER, {"since": None if since is None else since.replace(tzinfo=None)})
        dags = [dag for (dag,) in inventory.run("SELECT DISTINCT dag_id FROM suspects")]
        inventory.run("CREATE OR REPLACE TEMP TABLE known_runs (dag_id VARCHAR, run_id VARCHAR)")
        for runs in snapshot.run_ids(dags):
            inventory.insert("known_runs", runs)
    inventory.run("DELETE FROM suspects WHERE (dag_id, run_id) IN (SELECT (dag_id, run_id) FROM known_runs)")


def _unused_dialects(inventory: Inventory) -> Guard:
    value, groups = _groups(inventory, "dialect", "unnamed_origins")
    return Guard(
        "unused_dialects",
        not value,
        value,
        0,
        f"{value} orphaned objects name no DAG, and are of backends whose objects no row references"
        f" ({_names(groups)}): another deployment may use this store",
        groups,
    )


def _groups(inventory: Inventory, name: str, origins: str) -> tuple[int, tuple[GuardGroup, ...]]:
    """How many objects there are, and the largest groups of them by `name`."""
    found = inventory.run(
        f"SELECT {name}, count(*), sum(size)::BIGINT, count(DISTINCT run_id), min(last_modified), max(last_modified)"  # noqa: S608 - constants
        f" FROM {origins} GROUP BY {name} ORDER BY 2 DESC, 1"
    )
    groups = tuple(
        GuardGroup(
            named,
            objects,
            size,
            runs,
            oldest.replace(tzinfo=timezone.utc),
            newest.replace(tzinfo=timezone.utc),
        )
        for named, objects, size, runs, oldest, newest in found[:_GROUPS_SHOWN]
    )
    return sum(objects for _, objects, *_ in found), groups


def _names(groups: Sequence[GuardGroup]) -> str:
    shown = ", ".join(group.name for group in groups[:_NAMES_SHOWN])
    return shown + (", ..." if len(groups) > _NAMES_SHOWN else "")


_ORIGINS = """
    CREATE OR REPLACE TEMP TABLE origins AS
    SELECT o.claim, o.dialect, o.dag_id, o.run_id, o.size, o.last_modified
    FROM objects o JOIN object_states s USING (object_id)
    WHERE $wanted AND s.state = 'orphaned' AND s.in_scope
      AND (o.bucket, o.key) NOT IN (SELECT (bucket, key) FROM left_behind)
      AND NOT EXISTS (
        SELECT 1 FROM seen_roots r
        WHERE r.bucket = o.bucket AND starts_with(o.key, r.prefix) AND o.last_modified <= r.until
      )
"""

_USED_DIALECTS = """
    CREATE OR REPLACE TEMP TABLE used_dialects AS
    WITH linked AS (
        SELECT l.object_id, l.row_id
        FROM links l JOIN listed_objects o USING (object_id)
        WHERE o.claim IN (SELECT claim FROM origins)
        QUALIFY row_number() OVER (PARTITION BY o.claim) <= $most
    )
    SELECT
        o.dialect, coalesce(bool_or(o.dag_id = w.dag_id), true) AS names_dags,
        coalesce(bool_or(o.dag_id = w.dag_id AND o.run_id = w.run_id), true) AS names_runs
    FROM linked l JOIN objects o USING (object_id) JOIN rows w USING (row_id)
    GROUP BY o.dialect
"""

# Where no row uses a dialect, nothing speaks against the names in its keys.
_NAMED = """
    CREATE OR REPLACE TEMP VIEW named_origins AS
    SELECT o.*, coalesce(d.names_runs, true) AS names_runs
    FROM origins o LEFT JOIN used_dialects d ON d.dialect = o.dialect
    WHERE o.dag_id IS NOT NULL AND coalesce(d.names_dags, true)
"""

_UNNAMED = """
    CREATE OR REPLACE TEMP VIEW unnamed_origins AS
    SELECT * FROM origins WHERE dag_id IS NULL AND dialect NOT IN (SELECT dialect FROM used_dialects)
"""

_SUSPECTS = """
    CREATE OR REPLACE TEMP TABLE suspects AS
    SELECT o.dag_id, o.run_id, o.size, o.last_modified
    FROM named_origins o
    WHERE o.names_runs AND o.run_id IS NOT NULL AND o.dag_id NOT IN (SELECT dag_id FROM unknown_dags)
      AND (o.dag_id, o.run_id) NOT IN (SELECT (dag_id, run_id) FROM rows WHERE dag_id IS NOT NULL AND run_id IS NOT NULL)
"""

_DROP_OLDER = """
    DELETE FROM suspects
    WHERE last_modified <= coalesce(
        (SELECT r.began_at FROM oldest_runs r WHERE r.dag_id = suspects.dag_id), $since, 'infinity'::TIMESTAMP
    )
"""
