from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.backend.airflow_environments import RELEASES, AirflowEnvironment, Release, connection_to, install
from tests.services.object_stores import new_bucket, remove_bucket
from xcomctl.demo.server import SeaweedFS
from xcomctl_backend._reference import Coordinates, Reference, reference_document

pytestmark = pytest.mark.airflow

PREFIX = "air flow/x"
PROBE = Path(__file__).parents[1] / "backend" / "probe_backend.py"


LOAD = """
from xcomctl_backend.errors import SettingError

try:
    try:
        import airflow.sdk.execution_time.xcom
    except ModuleNotFoundError:
        import airflow.models.xcom
except SettingError as error:
    print(error)
"""
"""Makes Airflow load its backend, as each of its processes does."""


@pytest.fixture(scope="module", params=RELEASES, ids=lambda release: f"airflow-{release.version}")
def airflow(
    request: pytest.FixtureRequest,
    seaweed: SeaweedFS,
    airflow_environments: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AirflowEnvironment]:
    """A release with the backend, a migrated database and a bucket, reached through an Airflow connection."""
    release: Release = request.param
    folder = install(release, airflow_environments)
    bucket = new_bucket(seaweed)
    environment = AirflowEnvironment(
        release,
        folder,
        tmp_path_factory.mktemp("home"),
        {
            "AIRFLOW__CORE__XCOM_BACKEND": "xcomctl_backend.S3XComBackend",
            "AIRFLOW__XCOMCTL_BACKEND__PATH": f"s3://store@{bucket}/{PREFIX}",
            "AIRFLOW_CONN_STORE": connection_to(seaweed),
            # The option of Airflow 2 that makes its own backend write pickles: this one never does.
            "AIRFLOW__CORE__ENABLE_XCOM_PICKLING": "True",
        },
    )
    environment.migrate()
    yield environment
    remove_bucket(seaweed, bucket)


def _bucket(airflow: AirflowEnvironment) -> str:
    return airflow.settings["AIRFLOW__XCOMCTL_BACKEND__PATH"].partition("@")[2].partition("/")[0]


def _query(airflow: AirflowEnvironment, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(airflow.database)) as connection:
        return connection.execute(statement).fetchall()


def _rows(airflow: AirflowEnvironment) -> str:
    """The query for task, map index, key and value of every XCom."""
    if airflow.release.version.startswith("3.4"):
        return (
            "select task_id, region_index, key, value from xcom_v2 join task_instance "
            "on task_instance.id = task_instance_id"
        )
    return "select task_id, map_index, key, value from xcom"


def test_the_class_works_in_airflow(airflow: AirflowEnvironment, seaweed: SeaweedFS) -> None:
    """Airflow resolves the class; push, pull, purge, a missing object and a refused value are as the README says.

    Clients try again with backoff, and a region of the settings leaves the connection its endpoint.
    """
    answers = json.loads(airflow.python(PROBE).splitlines()[-1])
    reference = Reference.from_json(answers.pop("row"))
    missing, refused = answers.pop("missing"), answers.pop("refused")
    shown, without_object = answers.pop("shown", None), answers.pop("shown without the object", None)
    client = {"endpoint": seaweed.endpoint_url, "region": "eu-west-3", "retries": "standard"}
    assert answers.pop("client") == client
    assert answers == {"airflow resolves it": True, "pulled": True, "inline": True}
    assert reference.coordinates == Coordinates("probe", "r", "t", 2, "k")
    assert missing.startswith(f"XCom probe/r/t[2]:k: its object {reference.uri} does not exist.")
    assert refused == (
        "XCom probe/r/t[2]:k: a value of type dict cannot be stored: it holds a module, which neither this backend nor "
        "Airflow can store"
    )
    assert shown == (f"dict, 3.9 kB, in {reference.uri}" if airflow.release.generation == 2 else None)
    assert without_object == shown


def test_a_wrong_setting_stops_airflow(airflow: AirflowEnvironment) -> None:
    """Airflow does not start with a wrong setting, and the last line of what it prints names the setting."""
    printed = airflow.python(LOAD, AIRFLOW__XCOMCTL_BACKEND__PATH="/mnt/xcom")
    assert printed.splitlines()[-1] == (
        "[xcomctl_backend] path (AIRFLOW__XCOMCTL_BACKEND__PATH) is not s3://bucket/prefix or "
        "s3://connection_id@bucket/prefix"
    )


def test_a_dag_pushes_and_pulls(airflow: AirflowEnvironment, seaweed: SeaweedFS) -> None:
    """A DAG hands over frames, text, bytes, dicts, lists and mapped values; every large one is a reference to an object.

    The tasks of the DAG fail if what they pull is not equal to what was pushed.
    """
    arguments = ["2026-01-02"] if airflow.release.generation == 2 else []
    output = airflow.airflow("dags", "test", "backend_types", *arguments)
    states = dict.fromkeys(state for (state,) in _query(airflow, "select state from task_instance"))
    assert list(states) == ["success"], output[-5000:]
    [(run_id, run_state)] = _query(airflow, "select run_id, state from dag_run")
    assert run_state == "success"

    references: dict[str, dict[str, str]] = {}
    inline = {}
    for task_id, map_index, key, value in _query(airflow, _rows(airflow)):
        stored = value if isinstance(value, bytes) else value.encode()
        document = reference_document(stored)
        if document is None:
            inline[task_id] = json.loads(stored)
            continue
        reference = Reference.from_json(document)
        assert reference.bucket == _bucket(airflow)
        assert reference.key.startswith(f"{PREFIX}/backend_types/")
        assert reference.coordinates == Coordinates("backend_types", run_id, task_id, map_index, key)
        references[reference.key] = {
            "codec": reference.codec,
            "sha256": reference.sha256,
            "size": str(reference.size),
            "task": f"{task_id}[{map_index}]",
        }

    assert inline == {
        "push_small": {"small": "é"},
        "push_tuple": {
            "__xcomctl_tree__": 1,
            "value": {
                "__xcomctl_type__": "tuple",
                "items": [1, {"__xcomctl_type__": "float", "value": "inf"}],
            },
        },
        "push_lookalike": {
            "__xcomctl_tree__": 1,
            "value": {
                "__xcomctl_type__": "dict",
                "items": [["__xcomctl__", 1], ["uri", "s3://somebody/else"], ["codec", "json"]],
            },
        },
    }
    assert sorted((one["task"], one["codec"]) for one in references.values()) == [
        ("push_bytes[-1]", "bytes"),
        ("push_csv_text[-1]", "text"),
        ("push_everything[-1]", "bundle"),
        ("push_file[-1]", "file"),
        ("push_frame[-1]", "parquet"),
        ("push_numbers[-1]", "json"),
        ("push_tree[-1]", "json"),
        ("repeat[0]", "json"),
        ("repeat[1]", "json"),
        ("repeat[2]", "json"),
    ]
    with closing(seaweed.client()) as client:
        listed = client.list_objects_v2(Bucket=_bucket(airflow), Prefix=f"{PREFIX}/backend_types/")[
            "Contents"
        ]
        assert {found["Key"]: str(found["Size"]) for found in listed} == {
            key: one["size"] for key, one in references.items()
        }
        for key, one in references.items():
            metadata = client.head_object(Bucket=_bucket(airflow), Key=key)["Metadata"]
            assert metadata["xcomctl-sha256"] == one["sha256"]
            assert f"{metadata['xcomctl-task-id']}[{metadata['xcomctl-map-index']}]" == one["task"]
