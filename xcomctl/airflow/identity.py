"""What tells one metadata database from every other."""

from __future__ import annotations

import hashlib
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.url import DatabaseAddress

# A cluster keeps its identifier for life, and its standbys share it. Some services do not show it.
_CLUSTER = "SELECT system_identifier FROM pg_control_system()"
_MAY_SEE_CLUSTER = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
_DATABASE = "SELECT oid, datname FROM pg_database WHERE datname = current_database()"
# Only MySQL has the first. @@ of an unknown variable would be an error.
_SERVER = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_uuid', 'hostname', 'port')"


def identity_of(connection: Connection, address: DatabaseAddress, schema: str | None) -> str:
    """16 hex digits that stay with a database and that no other has, as far as its engine can tell.

    PostgreSQL: cluster, database and schema. MySQL: server and database. MariaDB: host name, port and database.
    SQLite: the path of the file.
    """
    if address.engine == "postgresql":
        parts = [*_postgresql(connection, address), schema]
    elif address.engine == "mysql":
        variables = {str(name).lower(): value for name, value in _rows(connection, _SERVER)}
        server = variables.get("server_uuid") or f"{variables.get('hostname')}:{variables.get('port')}"
        parts = [server, schema]
    else:
        parts = [str(Path(str(address.url.database)).resolve())]
    told = "\0".join([address.engine, *(str(part) for part in parts)])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _postgresql(connection: Connection, address: DatabaseAddress) -> list[object]:
    ((oid, name),) = _rows(connection, _DATABASE)
    ((allowed,),) = _rows(connection, _MAY_SEE_CLUSTER)
    if allowed:
        ((cluster,),) = _rows(connection, _CLUSTER)
    else:
        cluster = f"{address.url.host}:{address.url.port}"
    return [cluster, oid, name]


def _rows(connection: Connection, statement: str) -> list[tuple[object, ...]]:
    return [tuple(record) for record in connection.execute(sa.text(statement)).fetchall()]
