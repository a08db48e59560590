"""A metadata database in the shape of one Airflow generation, filled as Airflow fills it, for tests of the source."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool, QueuePool

Shape = Literal["airflow-2", "airflow-3", "airflow-3.4"]
SHAPES: tuple[Shape, ...] = ("airflow-2", "airflow-3", "airflow-3.4")
NEWEST = datetime(2026, 11, 1, 6, 0, 0, 123456, tzinfo=timezone.utc)


@dataclass
class AirflowDatabase:
    """An empty database at `url`, in which `create` makes the tables; close it by `with`. Ids are given out from 1."""

    url: str
    shape: Shape
    run_ids: dict[tuple[str, str], int] = field(default_factory=dict)
    task_ids: dict[tuple[Any, ...], str] = field(default_factory=dict)

    @property
    def engine(self) -> str:
        """`postgresql`, `mysql` or `sqlite`."""
        return self.url.partition(":")[0].partition("+")[0]

    @property
    def table(self) -> str:
        """The table into which this generation writes."""
        return "xcom_v2" if self.shape == "airflow-3.4" else "xcom"

    @property
    def legacy_table(self) -> str:
        """The table whose rows have the coordinates in columns of their own."""
        return "xcom_v1" if self.shape == "airflow-3.4" else "xcom"

    def __enter__(self) -> AirflowDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    @cached_property
    def _engine(self) -> Engine:
        # SQLite locks by file: a connection that is kept would be in the way of the source.
        pool = NullPool if self.engine == "sqlite" else QueuePool
        return sa.create_engine(self.url, poolclass=pool, future=True)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A transaction of an administrator."""
        with self._engine.begin() as connection:
            if self.engine == "mysql":
                connection.exec_driver_sql("SET time_zone = '+00:00'")
            yield connection

    def execute(self, statement: str, **parameters: Any) -> None:
        """Run one statement, committed."""
        with self.connection() as connection:
            connection.execute(sa.text(statement), parameters)

    def scalar(self, statement: str) -> Any:
        """The one value that a query gives."""
        with self.connection() as connection:
            return connection.execute(sa.text(statement)).scalar()

    def create(self) -> AirflowDatabase:
        """Make the tables."""
        script = (Path(__file__).parent / f"{self.shape}.{self.engine}.sql").read_text()
        with self.connection() as connection:
            for statement in script.split(";\n"):
                if statement.strip():
                    connection.exec_driver_sql(statement)
        return self

    def add_run(
        self, dag: str, run: str, *, state: str | None = "success", at: datetime = NEWEST, dated: bool = True
    ) -> int:
        """A run that took an hour; without `dated` it has no logical date, as manual runs of Airflow 3. Its id."""
        run_id = self.run_ids[dag, run] = len(self.run_ids) + 1
        when = (
            {"execution_date": at}
            if self.shape == "airflow-2"
            else {"logical_date": at if dated else None, "run_after": at}
        )
        ended = at + timedelta(hours=1) if state in ("success", "failed") else None
        self._insert("dag_run", id=run_id, dag_id=dag, run_id=run, state=state, end_date=ended, **when)
        return run_id

    def add_task(
        self,
        dag: str,
        run: str,
        task: str,
        map_index: int = -1,
        *,
        state: str | None = "success",
        try_number: int = 1,
        archived: bool = False,
    ) -> str:
        """A task instance (3.4: one attempt, `archived` if a later one replaced it); its id."""
        identity = uuid.uuid4()
        task_instance_id = str(identity) if self.engine == "postgresql" else identity.hex
        values: dict[str, Any] = {
            "dag_id": dag,
            "run_id": run,
            "task_id": task,
            "state": state,
            "try_number": try_number,
        }
        if self.shape == "airflow-3.4":
            values |= {"region_index": map_index, "working_set": None if archived else True}
        else:
            values["map_index"] = map_index
        if self.shape != "airflow-2":
            values["id"] = task_instance_id
        self._insert("task_instance", **values)
        self.task_ids[dag, run, task, map_index, try_number] = task_instance_id
        return task_instance_id

    def add_xcom(
        self,
        dag: str,
        run: str,
        task: str,
        value: Any,
        *,
        key: str = "return_value",
        map_index: int = -1,
        at: datetime = NEWEST,
        try_number: int = 1,
        archived: bool = False,
        raw: Any = None,
    ) -> None:
        """A value of a task, as the generation stores it; the run and the task are made if they are not there.

        `raw` is stored as it is.
        """
        if (dag, run) not in self.run_ids:
            self.add_run(dag, run, at=at)
        if (dag, run, task, map_index, try_number) not in self.task_ids:
            self.add_task(dag, run, task, map_index, try_number=try_number, archived=archived)
        stored = self._stored(value) if raw is None else raw
        if self.shape == "airflow-3.4":
            owner = self.task_ids[dag, run, task, map_index, try_number]
            self._insert(
                "xcom_v2", id=self._uuid(), task_instance_id=owner, key=key, value=stored, timestamp=at
            )
        else:
            self._insert_legacy(dag, run, task, map_index, key, stored, at)

    def add_legacy_xcom(
        self,
        dag: str,
        run: str,
        task: str,
        value: Any,
        *,
        key: str = "return_value",
        map_index: int = -1,
        try_number: int = 1,
        at: datetime = NEWEST,
    ) -> None:
        """A value that an older release wrote, which 3.4 keeps in xcom_v1 with an owner."""
        owner = {"dag_id": dag, "run_id": run, "task_id": task, "map_index": map_index}
        task_id = self.task_ids[dag, run, task, map_index, try_number]
        self._insert("legacy_task_data_owner", **owner, task_instance_id=task_id)
        self._insert_legacy(dag, run, task, map_index, key, self._stored(value), at)

    def _insert_legacy(
        self, dag: str, run: str, task: str, map_index: int, key: str, stored: Any, at: datetime
    ) -> None:
        self._insert(
            self.legacy_table,
            dag_run_id=self.run_ids[dag, run],
            dag_id=dag,
            run_id=run,
            task_id=task,
            map_index=map_index,
            key=key,
            value=stored,
            timestamp=at,
        )

    def _uuid(self) -> str:
        identity = uuid.uuid4()
        return str(identity) if self.engine == "postgresql" else identity.hex

    def _stored(self, value: Any) -> Any:
        text = json.dumps(value)
        return text.encode() if self.shape == "airflow-2" else text

    def _insert(self, table: str, **values: Any) -> None:
        quote = "`" if self.engine == "mysql" else '"'
        names = ", ".join(f"{quote}{name}{quote}" for name in values)
        places = ", ".join(f":{name}" for name in values)
        stored = {
            name: self._time(value) if isinstance(value, datetime) else value
            for name, value in values.items()
        }
        self.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", **stored)

    def _time(self, at: datetime) -> datetime | str:
        if self.engine == "postgresql":
            return at
        naive = at.astimezone(timezone.utc).replace(tzinfo=None)
        # As SQLAlchemy writes it for Airflow on SQLite.
        return naive.strftime("%Y-%m-%d %H:%M:%S.%f") if self.engine == "sqlite" else naive
