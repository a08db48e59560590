"""The demonstration's world: some weeks of runs of three DAGs, in a metadata database and in a bucket.

`daily_sales` uses our backend (Parquet, CSV, JSON), `sensor_ingest` and `train_forecast` Airflow's
`XComObjectStorageBackend`. Rows and keys are as `docs/reference-format.md` and Airflow 3.3 write them. With the usual
work come the usual leftovers: objects of keys that were pushed twice, a row whose object is gone, an upload whose
row is not there yet, and a file that is none of ours.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from xcomctl.demo import payloads
from xcomctl.demo.server import SeaweedFS

BUCKET = "xcoms"
PREFIX = "prod/"
ROOT = f"s3://{BUCKET}/{PREFIX}".rstrip("/")

_WEEKS = 6
_AIRFLOW_33 = "d2f4e1b3c5a7"


@dataclass(frozen=True, slots=True)
class _Upload:
    key: str
    body: bytes
    at: datetime


class DemoWorld:
    """Fills a server and a SQLite file. The same `now` gives the same world."""

    def __init__(self, server: SeaweedFS, database: Path, now: datetime) -> None:
        self._server = server
        self._database = database
        self._now = now.replace(microsecond=0)
        self._chance = random.Random(33)  # noqa: S311 - a world that is the same each time, not a secret
        self._uploads: list[_Upload] = []
        self._rows: list[tuple[Any, ...]] = []
        self._runs: list[tuple[Any, ...]] = []
        self._task_instances: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def build(self) -> None:
        """Make up the world, then write it. Takes some seconds."""
        for age, day in self._days(_WEEKS * 7):
            # A task that pushes one key twice: the row is overwritten, the first object stays for ever.
            self._daily_sales(day, twice=age % 9 == 0)
            if day.weekday() == 0:
                self._train_forecast(day)
        for _, day in self._days(10):
            self._sensor_ingest(day, running=False)
        self._sensor_ingest(self._now - timedelta(minutes=20), running=True)
        self._leftovers()
        self._write_database()
        self._write_objects()

    def _days(self, number: int) -> Iterator[tuple[int, datetime]]:
        """Age in days and the time at which a daily run starts, oldest first."""
        midnight = self._now.replace(hour=0, minute=0, second=0)
        for age in range(number, 0, -1):
            yield age, midnight - timedelta(days=age) + timedelta(hours=2)

    def _daily_sales(self, day: datetime, *, twice: bool) -> None:
        run = self._run("daily_sales", day)
        frame = payloads.orders(day - timedelta(days=1), self._chance.randint(300, 500), self._chance)
        self._push_ours(run, "extract_orders", payloads.as_parquet(frame), "parquet", "pandas.DataFrame")
        self._push_ours(run, "summarise", payloads.as_json(payloads.summary(frame, day)), "json", "dict")
        by_shop = frame.groupby("shop")["amount"].sum().reset_index()
        self._push_ours(run, "export_csv", payloads.as_csv(by_shop), "csv", "pandas.DataFrame")
        self._push(run, "extract_orders", "row_count", len(frame))
        self._push(run, "notify", "return_value", f"sales report for {day:%Y-%m-%d} sent")
        if twice:
            again = payloads.as_json(payloads.summary(frame, day) | {"draft": True})
            self._upload(self._our_key(run, "summarise", "json"), again, run.at)

    def _train_forecast(self, day: datetime) -> None:
        run = self._run("train_forecast", day)
        features = payloads.orders(day - timedelta(days=1), 200, self._chance)
        self._push_common_io(run, "features", payloads.as_airflow_frame(features))
        for index, horizon in enumerate((7, 14, 28)):
            losses = [round(self._chance.uniform(0.1, 0.9) / epoch, 4) for epoch in range(1, 120)]
            result = {"horizon": horizon, "mape": losses[-1], "losses": losses}
            self._push_common_io(run, "train", payloads.as_json(result), map_index=index)
        self._push(run, "pick_best", "return_value", {"horizon": 14, "model": f"forecast-{day:%Y%m%d}"})

    def _sensor_ingest(self, at: datetime, *, running: bool) -> None:
        run = self._run("sensor_ingest", at, state="running" if running else "success")
        self._push(run, "list_sensors", "return_value", [1, 2, 3])
        for index in range(2 if running else 3):
            body = payloads.as_json(payloads.readings(index + 1, 60, self._chance))
            self._push_common_io(run, "read", body, map_index=index)

    def _leftovers(self) -> None:
        # Deleted runs: Airflow removes their rows and leaves their objects.
        for age in (33, 20, 12):
            at = self._now - timedelta(days=age)
            gone = _Run("train_forecast", f"manual__{at:%Y-%m-%dT%H:%M:%S}+00:00", 0, at)
            body = payloads.as_airflow_frame(payloads.orders(gone.at, 250, self._chance))
            self._upload(self._common_io_key(gone, "features"), body, gone.at)
        # A lifecycle rule or a person deleted the object of a row that is still there.
        exports = [upload for upload in self._uploads if upload.key.endswith(".csv")]
        self._uploads.remove(max(exports, key=lambda upload: upload.at))
        # A task is at work: its object is there, its row is not yet.
        early = _Run("sensor_ingest", "scheduled__now", 0, self._now)
        self._upload(
            self._common_io_key(early, "read"),
            payloads.as_json(payloads.readings(3, 60, self._chance)),
            self._now,
        )
        self._upload(
            f"{PREFIX}README.txt",
            b"XComs of production. Ask the data platform team before you touch anything.\n",
            self._now - timedelta(days=200),
        )

    def _run(self, dag_id: str, at: datetime, state: str = "success") -> _Run:
        run = _Run(
            dag_id,
            f"scheduled__{at:%Y-%m-%dT%H:%M:%S}+00:00",
            len(self._runs) + 1,
            at + timedelta(minutes=12),
        )
        ended = None if state == "running" else at + timedelta(minutes=25)
        self._runs.append(
            (run.number, dag_id, run.run_id, state, "scheduled", *map(_stamp, (at, at, at, ended)))
        )
        return run

    def _push_ours(self, run: _Run, task: str, body: bytes, codec: str, kind: str) -> None:
        key = self._our_key(run, task, codec)
        self._upload(key, body, run.at)
        reference = {
            "__xcomctl__": 1,
            "uri": f"s3://{BUCKET}/{key}",
            "codec": codec,
            "size": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "type": kind,
        }
        self._push(run, task, "return_value", reference)

    def _push_common_io(self, run: _Run, task: str, body: bytes, map_index: int = -1) -> None:
        key = self._common_io_key(run, task)
        self._upload(key, body, run.at)
        self._push(run, task, "return_value", f"s3://aws_default@{BUCKET}/{key}", map_index)

    def _push(self, run: _Run, task: str, key: str, value: Any, map_index: int = -1) -> None:
        at = _stamp(run.at + timedelta(seconds=1))
        identity = (task, run.dag_id, run.run_id, map_index)
        self._task_instances.setdefault(identity, (self._uuid().hex, *identity, "success", 1, at, at))
        # The SQLite column has numeric affinity, and Airflow binds the JSON text: numbers end up as numbers.
        self._rows.append((run.number, task, map_index, key, run.dag_id, run.run_id, json.dumps(value), at))

    def _our_key(self, run: _Run, task: str, suffix: str) -> str:
        parts = (run.dag_id, run.run_id, task, "-1", "return_value")
        return PREFIX + "/".join(quote(part, safe="~") for part in parts) + f"/{self._uuid()}.{suffix}"

    def _common_io_key(self, run: _Run, task: str) -> str:
        return f"{PREFIX}{run.dag_id}/{run.run_id}/{task}/{self._uuid()}"

    def _uuid(self) -> UUID:
        return UUID(int=self._chance.getrandbits(128), version=4)

    def _upload(self, key: str, body: bytes, at: datetime) -> None:
        self._uploads.append(_Upload(key, body, at))

    def _write_database(self) -> None:
        ddl = resources.files("xcomctl.demo").joinpath("airflow33.sql").read_text(encoding="utf-8")
        dags = sorted({run[1] for run in self._runs})
        with closing(sqlite3.connect(self._database)) as connection, connection:
            connection.executescript(ddl)
            connection.execute("INSERT INTO alembic_version VALUES (?)", (_AIRFLOW_33,))
            connection.executemany(
                "INSERT INTO dag VALUES (?, 0, 0, 'dags-folder')", [(dag,) for dag in dags]
            )
            connection.executemany(
                "INSERT INTO dag_run (id, dag_id, run_id, state, run_type, logical_date, run_after, start_date, end_date)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                self._runs,
            )
            connection.executemany(
                "INSERT INTO task_instance VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self._task_instances.values()
            )
            connection.executemany(
                'INSERT INTO xcom (dag_run_id, task_id, map_index, "key", dag_id, run_id, value, timestamp)'
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                self._rows,
            )

    def _write_objects(self) -> None:
        self._server.create_bucket(BUCKET)
        with closing(self._server.client()) as client:
            for upload in self._uploads:
                client.put_object(Bucket=BUCKET, Key=upload.key, Body=upload.body)
        old = {(BUCKET, upload.key): upload.at for upload in self._uploads if upload.at < self._now}
        self._server.backdate(old)


@dataclass(frozen=True, slots=True)
class _Run:
    dag_id: str
    run_id: str
    number: int
    at: datetime
    """When its tasks pushed."""


def _stamp(at: datetime | None) -> str | None:
    """A time as Airflow writes it into SQLite: UTC, without a zone."""
    return None if at is None else at.strftime("%Y-%m-%d %H:%M:%S.%f")
