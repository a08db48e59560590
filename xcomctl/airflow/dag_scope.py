"""Some DAGs of many: SQL that lets through their rows and those that name no DAG, and a check that is exact."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xcomctl.airflow.queries import TableQuery
from xcomctl.airflow.records import clean
from xcomctl.airflow.url import EngineName

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class DagScope:
    """The DAGs whose rows are wanted; None means every row."""

    dag_ids: frozenset[str] | None
    engine: EngineName

    @classmethod
    def of(cls, dag_ids: Collection[str] | None, engine: EngineName) -> DagScope:
        """The scope of these DAGs, named as the database names them."""
        return cls(None if dag_ids is None else frozenset(dag_ids), engine)

    def condition(self, table: TableQuery) -> tuple[str, dict[str, Any]]:
        """SQL over the table's expressions, and its parameters; '' where every row is wanted.

        It may let too much through, as MySQL does, where names are compared without regard to case.
        """
        if self.dag_ids is None or table.is_null("dag_id"):
            return "", {}
        column = table.expressions["dag_id"]
        names: Any = sorted(self.dag_ids)
        if self.engine == "postgresql":
            wanted = f"{column} = ANY(:dag_ids)"
        elif self.engine == "mysql":
            wanted, names = f"{column} IN :dag_ids", names or [""]
        elif any(not _is_text(name) for name in names):
            # Bytes that are not UTF-8 cannot be asked for: all rows are looked at.
            return "", {}
        else:
            # One parameter for all: SQLite may allow no more than 999.
            wanted, names = f"{column} IN (SELECT value FROM json_each(:dag_ids))", json.dumps(names)
        return f"({wanted} OR {column} IS NULL)", {"dag_ids": names}

    def filtered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch of `interface.row_schema()` that are wanted, exactly."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.dag_ids is None:
            return batch
        named = batch.column("dag_id")
        names = pa.array([clean(name) for name in self.dag_ids], pa.string())
        return batch.filter(pc.or_(pc.is_null(named), pc.is_in(named, value_set=names)))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
