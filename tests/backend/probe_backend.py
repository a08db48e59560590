"""Runs inside an environment with Airflow: asks the loaded backend some questions and prints the answers as JSON."""

# mypy: ignore-errors

import dataclasses
import json
import sys
from types import SimpleNamespace

# Before anything of Airflow: the order that is hardest on Airflow 2.
from xcomctl_backend import S3XComBackend, _airflow, backend
from xcomctl_backend.errors import EncodingError, MissingObjectError


def main() -> None:
    """Push, look at, purge and pull one value."""
    try:
        from airflow.sdk.execution_time.xcom import XCom
    except ImportError:
        from airflow.models.xcom import XCom
    where = {"key": "k", "task_id": "t", "dag_id": "probe", "run_id": "r", "map_index": 2}
    stored = S3XComBackend.serialize_value({"n": list(range(1000))}, **where)
    answers = {
        "airflow resolves it": XCom is S3XComBackend,
        "row": json.loads(stored) if isinstance(stored, bytes) else stored,
        "pulled": S3XComBackend.deserialize_value(SimpleNamespace(value=stored)) == {"n": list(range(1000))},
        "inline": S3XComBackend.deserialize_value(
            SimpleNamespace(value=S3XComBackend.serialize_value((1, "é"), **where))
        )
        == (1, "é"),
    }
    row = SimpleNamespace(value=stored, **where)
    if hasattr(S3XComBackend, "orm_deserialize_value"):
        shown = S3XComBackend.orm_deserialize_value(row)
        answers["shown"] = str(shown)
        row.value = shown
    S3XComBackend.purge(row, None)
    if "shown" in answers:
        answers["shown without the object"] = str(
            S3XComBackend.orm_deserialize_value(SimpleNamespace(value=stored))
        )
    client = _airflow.connect(dataclasses.replace(backend._SETTINGS, region="eu-west-3"))
    answers["client"] = {
        "endpoint": client.meta.endpoint_url,
        "region": client.meta.region_name,
        "retries": client.meta.config.retries["mode"],
    }
    client.close()
    try:
        S3XComBackend.deserialize_value(SimpleNamespace(value=stored))
    except MissingObjectError as error:
        answers["missing"] = str(error)
    try:
        S3XComBackend.serialize_value({"bad": sys}, **where)
    except EncodingError as error:
        answers["refused"] = str(error)
    print(json.dumps(answers))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
