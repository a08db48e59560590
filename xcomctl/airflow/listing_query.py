"""The one query behind a list of rows: all live tables together, filtered, in a total order."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xcomctl.airflow.interface import SortField
from xcomctl.airflow.queries import FIELDS, Queries, aliased, readable
from xcomctl.airflow.selection import SelectionFilter

# After the field that is asked for; together they tell any two rows apart.
_TIE_BREAKERS = ("dag_run_id", "task_id", "map_index", "key", "table_index", "row_id")


def listing_query(
    queries: Queries,
    rows_filter: SelectionFilter,
    *,
    sort: SortField,
    descending: bool,
    limit: int | None,
    run_numbers: Sequence[int] | None = None,
) -> tuple[str, dict[str, Any]]:
    """SQL that gives the records of `queries.FIELDS` in order, and its parameters.

    Values are decoded outside of the sort, so that a limit spares the server all but those that are shown.
    `limit` is applied by the database: give it only where the filter is exact. With `run_numbers` (PostgreSQL only) the
    rows are those of these runs.
    """
    parameters: dict[str, Any] = {}
    selects: list[str] = []
    raw_type = ""
    for name in queries.shape.live:
        table = queries.live(name)
        condition, values = rows_filter.condition(table)
        parameters |= values
        if run_numbers is not None:
            of_runs = f"{table.expressions['dag_run_id']} = ANY(:run_numbers)"
            condition = f"{condition} AND {of_runs}" if condition else of_runs
            parameters["run_numbers"] = run_numbers
        raw_type = table.raw_type
        where = f" WHERE {condition}" if condition else ""
        selects.append(f"SELECT {aliased(table.expressions)} FROM {table.source}{where}")
    order = _order(sort, descending=descending, nullable="xcom_v2" in queries.shape.live)
    core = " UNION ALL ".join(selects)
    if limit is not None:
        core = f"SELECT * FROM ({core}) u ORDER BY {order} LIMIT :row_limit"
        parameters["row_limit"] = limit
    shown = [
        readable("f_raw", raw_type, queries.engine) if field == "raw" else f"f_{field}" for field in FIELDS
    ]
    return f"SELECT {', '.join(shown)} FROM ({core}) r ORDER BY {order}", parameters


def _order(sort: SortField, *, descending: bool, nullable: bool) -> str:
    direction = "DESC" if descending else "ASC"
    fields = [sort, *(field for field in _TIE_BREAKERS if field != sort)]
    if nullable:
        # An attempt whose task is gone has no coordinates; engines disagree where NULL sorts.
        return ", ".join(f"f_{field} IS NULL, f_{field} {direction}" for field in fields)
    return ", ".join(f"f_{field} {direction}" for field in fields)
