"""What a server tells of itself and of what its user may do there. Nothing is changed to find it out."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.interface import PRIVILEGES, Privilege, SourceCondition, SourceRights, SourceUpkeep
from xcomctl.airflow.places import Place, lacking_grants
from xcomctl.airflow.queries import Queries
from xcomctl.airflow.records import time_of
from xcomctl.airflow.schema import TableShape
from xcomctl.airflow.snapshot import REPLICA, clock_of
from xcomctl.airflow.url import DatabaseAddress, EngineName

_VERSION: dict[EngineName, str] = {
    "postgresql": "SHOW server_version",
    "mysql": "SELECT version()",
    "sqlite": "SELECT sqlite_version()",
}
_NAMES: dict[EngineName, str] = {"postgresql": "PostgreSQL", "mysql": "MySQL", "sqlite": "SQLite"}

_HAS_PRIVILEGE = "SELECT has_table_privilege(:name, :privilege)"
_GRANT = re.compile(r"GRANT (?P<privileges>.+) ON (?:TABLE )?(?P<place>\S+) TO ", re.IGNORECASE)
_IN_PARENTHESES = re.compile(r"\([^)]*\)")


def condition_of(
    connection: Connection, address: DatabaseAddress, oldest: datetime | None
) -> SourceCondition:
    """The server behind a connection. `oldest` is the start of its oldest open transaction, None if not known."""
    engine = address.engine
    version = str(connection.execute(sa.text(_VERSION[engine])).scalar())
    name = "MariaDB" if "mariadb" in version.lower() else _NAMES[engine]
    replica = connection.execute(sa.text(f"SELECT {REPLICA[engine]}")).scalar()
    return SourceCondition(
        label=address.label,
        server=f"{name} {version.partition(' ')[0].partition('-')[0]}",
        clock_at=clock_of(connection, engine),
        is_replica=bool(replica),
        oldest_transaction_at=oldest,
    )


def upkeep_of(connection: Connection, queries: Queries) -> SourceUpkeep:
    """How a database is kept."""
    oldest = f"SELECT min({queries.time(queries.run_at('dr'))}) FROM {queries.table('dag_run')} dr"
    return SourceUpkeep(
        oldest_run_at=time_of(connection.execute(sa.text(oldest)).scalar()),
        without_dag_index=tuple(_without_dag_index(connection, queries.shape)),
    )


def _without_dag_index(connection: Connection, shape: TableShape) -> Iterator[str]:
    """The live tables that have a `dag_id` of their own with which no index begins."""
    inspector = sa.inspect(connection)
    for table in shape.live:
        if "dag_id" not in shape.columns[table]:
            continue
        indexes = inspector.get_indexes(table, schema=shape.schema)
        key = inspector.get_pk_constraint(table, schema=shape.schema)["constrained_columns"]
        by_dag = any(index["column_names"][:1] == ["dag_id"] for index in indexes)
        if not by_dag and key[:1] != ["dag_id"]:
            yield table


def rights_of(
    connection: Connection, queries: Queries, address: DatabaseAddress, places: Sequence[Place]
) -> SourceRights:
    """Which rights the user lacks, table by table, of those that the tool uses; `places` beside the XComs among them."""
    shape = queries.shape
    wanted = _wanted(shape)
    if address.engine == "postgresql":
        lacking = {
            (table, right)
            for table, rights in wanted.items()
            for right in rights
            if not connection.execute(
                sa.text(_HAS_PRIVILEGE),
                {"name": queries.table(table).replace("\\:", ":"), "privilege": right},
            ).scalar()
        }
        # Of the places some columns are enough.
        grants = lacking_grants(connection, queries, places)
        return _lacking(lacking | {(grant.rpartition(" ")[2], "SELECT") for grant in grants})
    if address.engine == "mysql":
        told = [str(record[0]) for record in connection.execute(sa.text("SHOW GRANTS")).fetchall()]
        read: dict[str, tuple[Privilege, ...]] = {place.table: ("SELECT",) for place in places}
        return _lacking_in_mysql(told, read | wanted, shape.schema or "")
    return _lacking_in_file(Path(str(address.url.database)), wanted)


def _wanted(shape: TableShape) -> dict[str, tuple[Privilege, ...]]:
    """What all commands together need, by table."""
    read = ("dag_run", "task_instance", *(name for name in ("dag",) if name in shape.columns))
    if "xcom_v1" in shape.live:
        read += ("legacy_task_data_owner",)
    wanted: dict[str, tuple[Privilege, ...]] = dict.fromkeys((*read, *shape.archives), ("SELECT",))
    # Rows of runs are locked while the rows of their XComs are deleted.
    wanted["dag_run"] = ("SELECT", "UPDATE")
    return {**dict.fromkeys(shape.live, PRIVILEGES), **wanted}


def _lacking(pairs: Iterable[tuple[str, Privilege]]) -> SourceRights:
    found: dict[Privilege, list[str]] = {}
    for table, right in sorted(pairs):
        found.setdefault(right, []).append(table)
    return SourceRights({right: tuple(tables) for right, tables in found.items()})


def _lacking_in_mysql(
    told: Iterable[str], wanted: Mapping[str, tuple[Privilege, ...]], schema: str
) -> SourceRights:
    """What the grants do not give. Where some of them are roles, whose rights are not listed, that is not certain."""
    granted: set[tuple[str, str]] = set()
    roles = False
    for line in told:
        match = _GRANT.match(line)
        if match is None:
            roles = True
            continue
        place = match["place"].replace("`", "").replace("\\_", "_").replace("\\%", "%")
        database, _, table = place.partition(".")
        if not _like(database, schema):
            continue
        names = _IN_PARENTHESES.sub("", match["privileges"]).upper().split(",")
        granted |= {(table, name.strip()) for name in names}
    lacking = {
        (table, right)
        for table, rights in wanted.items()
        for right in rights
        if not granted & {(at, name) for at in ("*", table) for name in (right, "ALL PRIVILEGES", "ALL")}
    }
    return SourceRights(_lacking(lacking).lacking, certain=not (roles and lacking))


def _like(pattern: str, name: str) -> bool:
    if pattern == "*":
        return True
    return re.fullmatch(re.escape(pattern).replace("%", ".*"), name) is not None


def _lacking_in_file(path: Path, wanted: Mapping[str, tuple[Privilege, ...]]) -> SourceRights:
    # Beside the file SQLite keeps a journal while it writes.
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return SourceRights({})
    return _lacking(
        (table, right) for table, rights in wanted.items() for right in rights if right != "SELECT"
    )
