"""What a database knows of DAGs and runs: names only."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.interface import RunHistory
from xcomctl.airflow.queries import Queries
from xcomctl.airflow.records import clean, time_of
from xcomctl.airflow.row_sets import Column, in_parts, row_set

_RUNS_AT_A_TIME = 10_000


def known_dag_ids(connection: Connection, queries: Queries) -> set[str]:
    """Every DAG id in the DAG list, the runs, and the XCom rows (through their tasks where rows have no DAG id)."""
    tables = ["dag_run", *(name for name in queries.shape.live if name != "xcom_v2")]
    if "xcom_v2" in queries.shape.live:
        tables.append("task_instance")
    if "dag_id" in queries.shape.columns.get("dag", {}):
        tables.append("dag")
    found: set[str] = set()
    for name in tables:
        records = connection.execute(sa.text(_distinct_dag_ids(queries, name))).fetchall()
        found |= {str(record[0]) for record in records if record[0] is not None}
    return found


def _distinct_dag_ids(queries: Queries, name: str) -> str:
    table = queries.table(name)
    if queries.engine == "mysql":
        # InnoDB skips from value to value in the index by itself.
        return f"SELECT DISTINCT dag_id FROM {table}"
    # PostgreSQL and SQLite would read the whole index: step through it, one look-up for each DAG.
    return (
        f"WITH RECURSIVE found(dag_id) AS (SELECT min(dag_id) FROM {table} UNION ALL "
        f"SELECT (SELECT min(t.dag_id) FROM {table} t WHERE t.dag_id > found.dag_id) "
        "FROM found WHERE found.dag_id IS NOT NULL) SELECT dag_id FROM found"
    )


def run_history(connection: Connection, queries: Queries) -> RunHistory:
    """How far back the runs reach; see `airflow.interface.Snapshot.run_history`."""
    table = queries.table("dag_run")
    columns = queries.shape.columns["dag_run"]
    # A run that is over began at some time, also where nobody noted when.
    due = f"CASE WHEN r.end_date IS NOT NULL THEN {queries.run_at('r')} END"
    began = f"coalesce(r.start_date, {due})" if "start_date" in columns else due
    manual = "run_type = 'manual'" if "run_type" in columns else "1 = 0"
    oldest = {
        clean(dag_id): at
        for dag_id, began_at in connection.execute(
            sa.text(f"SELECT r.dag_id, {queries.time(f'min({began})')} FROM {table} r GROUP BY r.dag_id")
        )
        if (at := time_of(began_at)) is not None
    }
    # `db clean` keeps the newest run of each DAG that was not started by hand, however old it is.
    whole_since = connection.execute(
        sa.text(
            f"SELECT {queries.time(f'min({began})')} FROM {table} r LEFT JOIN"
            f" (SELECT r.dag_id AS dag_id, max({began}) AS newest FROM {table} r WHERE NOT ({manual}) GROUP BY r.dag_id) k"
            f" ON k.dag_id = r.dag_id WHERE {manual} OR k.newest IS NULL OR {began} < k.newest"
        )
    ).scalar()
    return RunHistory(oldest, time_of(whole_since))


def run_ids(
    connection: Connection, queries: Queries, dag_ids: Collection[str]
) -> Iterator[list[tuple[str, str]]]:
    """DAG and run id of every run of these DAGs, in parts."""
    for part in in_parts(sorted(dag_ids), queries.engine):
        wanted = row_set([Column("r.dag_id")], [(dag_id,) for dag_id in part], queries.engine)
        source = wanted.of(f"{queries.table('dag_run')} r")
        statement = wanted.statement(f"SELECT r.dag_id, r.run_id FROM {source} WHERE {wanted.condition}")
        found = connection.execute(*statement)
        while records := found.fetchmany(_RUNS_AT_A_TIME):
            yield [(clean(dag_id), clean(run_id)) for dag_id, run_id in records]


def run_ids_with_xcoms(connection: Connection, queries: Queries, dag_id: str, limit: int) -> list[str]:
    """Runs of one DAG that have rows, newest first."""
    evidence = [
        f"EXISTS (SELECT 1 FROM {queries.table(name)} x WHERE x.dag_run_id = dr.id)"
        for name in queries.shape.live
        if name != "xcom_v2"
    ]
    if "xcom_v2" in queries.shape.live:
        evidence.append(
            f"EXISTS (SELECT 1 FROM {queries.table('task_instance')} ti"
            f" JOIN {queries.table('xcom_v2')} x ON x.task_instance_id = ti.id"
            " WHERE ti.dag_id = dr.dag_id AND ti.run_id = dr.run_id)"
        )
    statement = sa.text(
        f"SELECT dr.run_id FROM {queries.table('dag_run')} dr WHERE dr.dag_id = :dag_id"
        f" AND ({' OR '.join(evidence)}) ORDER BY {queries.run_at('dr')} DESC, dr.id DESC LIMIT :row_limit"
    )
    return [
        str(record[0]) for record in connection.execute(statement, {"dag_id": dag_id, "row_limit": limit})
    ]


def names_in_run(
    connection: Connection, queries: Queries, dag_id: str, run_id: str, limit: int
) -> list[tuple[str, int, str]]:
    """Task, map index (-1 if unmapped) and key of each row of one run, each once, without any value."""
    found: set[tuple[str, int, str]] = set()
    for name in queries.shape.live:
        selected = queries.live(name).select(
            queries.engine, "dr.dag_id = :dag_id AND dr.run_id = :run_id", ("task_id", "map_index", "key")
        )
        statement = sa.text(f"{selected.replace('SELECT ', 'SELECT DISTINCT ', 1)} LIMIT :row_limit")
        parameters = {"dag_id": dag_id, "run_id": run_id, "row_limit": limit}
        for task_id, map_index, key in connection.execute(statement, parameters):
            found.add((str(task_id), -1 if map_index is None else int(map_index), str(key)))
    return sorted(found)[:limit]
