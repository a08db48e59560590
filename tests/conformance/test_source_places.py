"""What a metadata database mentions outside of the XCom tables: every engine, every release, and what may leave it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.conformance.sources import airflow, source
from tests.schemas.airflow_database import AirflowDatabase
from tests.services.worlds import World
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import Mention
from xcomctl.airflow.places import PLACES, places_in
from xcomctl.airflow.schema import read_shape
from xcomctl.errors import SourceError, UsageError
from xcomctl.models import Root

__all__ = ["airflow", "source"]

ROOTS = (Root("xcoms", "prod/"),)
ONE = "11111111-1111-4111-8111-111111111111"
DIGITS = "0f7a49f2c3d84a5e9b1c6d2e8f3a7b5c"
SECRET = "hunter2-and-more"  # noqa: S105 - of these tests alone

_TYPES = {
    "json": {"postgresql": "jsonb", "mysql": "JSON", "sqlite": "JSON"},
    "text": {"postgresql": "text", "mysql": "MEDIUMTEXT", "sqlite": "TEXT"},
    "bytes": {"postgresql": "bytea", "mysql": "LONGBLOB", "sqlite": "BLOB"},
}


def add_places(airflow: AirflowDatabase) -> None:
    """Some of Airflow's tables as its releases have them: a Variable, a connection, an asset, the conf of runs."""
    json_, text, bytes_ = (_TYPES[kind][airflow.engine] for kind in ("json", "text", "bytes"))
    quote = "`" if airflow.engine == "mysql" else '"'
    airflow.execute(
        f"CREATE TABLE variable (id INTEGER PRIMARY KEY, {quote}key{quote} VARCHAR(250), val {text}, is_encrypted BOOLEAN)"
    )
    airflow.execute(f"CREATE TABLE connection (id INTEGER PRIMARY KEY, conn_id VARCHAR(250), extra {text})")
    airflow.execute(f"CREATE TABLE asset_event (id INTEGER PRIMARY KEY, extra {json_})")
    airflow.execute(
        f"ALTER TABLE dag_run ADD COLUMN conf {bytes_ if airflow.shape == 'airflow-2' else json_}"
    )
    airflow.execute(f"ALTER TABLE task_instance ADD COLUMN next_kwargs {json_}")


def mentioned(source: DatabaseSource) -> list[Mention]:
    """All that the places mention."""
    with source.snapshot() as snapshot:
        return list(snapshot.mentions(ROOTS))


def test_only_what_may_be_a_key_leaves_the_database(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Uuids and keys below the roots are found in text, JSON and pickles; nothing else of a value comes with them."""
    add_places(airflow)
    conf: Any = {"password": SECRET, "of": f"s3://xcoms/prod/etl/r1/load/{ONE}"}
    airflow.add_run("etl", "r1")
    airflow.add_task("etl", "r1", "load")
    stored = pickle.dumps(conf) if airflow.shape == "airflow-2" else json.dumps(conf)
    airflow.execute("UPDATE dag_run SET conf = :conf", conf=stored)
    airflow.execute("UPDATE task_instance SET next_kwargs = :value", value=json.dumps([SECRET, DIGITS]))
    airflow._insert("variable", id=1, key="latest", val=f"{SECRET} a{DIGITS} {SECRET}")
    airflow._insert("variable", id=2, key="plain", val=SECRET)
    airflow._insert("variable", id=3, key="empty", val=None)
    airflow._insert("connection", id=1, conn_id="aws", extra=json.dumps({"at": rf"{SECRET} prod/a/b.json"}))
    airflow._insert("asset_event", id=7, extra=json.dumps({"x": [f"{ONE}{ONE}"]}))
    found = mentioned(source)
    told = {(one.table, one.column): one.text for one in found}
    end = "\\224u." if airflow.engine == "postgresql" else "\ufffdu."
    task = airflow.task_ids["etl", "r1", "load", -1, 1]
    assert {(one.table, one.key) for one in found} == {
        ("dag_run", "1"),
        ("task_instance", "etl, r1, load, -1" if airflow.shape == "airflow-2" else task),
        ("variable", "latest"),
        ("connection", "aws"),
        ("asset_event", "7"),
    }
    assert told == {
        ("dag_run", "conf"): f"prod/etl/r1/load/{ONE}" + (end if airflow.shape == "airflow-2" else ""),
        ("task_instance", "next_kwargs"): DIGITS,
        ("variable", "val"): f"a{DIGITS}",
        ("connection", "extra"): "prod/a/b.json",
        ("asset_event", "extra"): f"{ONE}{ONE}",
    }
    assert SECRET not in repr(found)


def test_a_table_that_is_ignored_is_not_read(airflow: AirflowDatabase) -> None:
    """`--ignore-places variable` leaves that table alone; a name that is no place is an error that lists them."""
    add_places(airflow)
    airflow._insert("variable", id=1, key="latest", val=ONE)
    airflow._insert("asset_event", id=7, extra=json.dumps([ONE]))
    with closing(DatabaseSource(airflow.url, None, ("variable",))) as source:
        assert [one.table for one in mentioned(source)] == ["asset_event"]
    with (
        closing(DatabaseSource(airflow.url, None, ("variables",))) as source,
        pytest.raises(UsageError, match="variables is none that is looked through") as caught,
    ):
        mentioned(source)
    assert ", ".join(PLACES) in str(caught.value.hint)


# Of each release what it has of the places.
_ASSETS = {"asset": ("extra",), "asset_event": ("extra",), "backfill": ("dag_run_conf",)}
_ALWAYS = {
    "connection": ("extra",),
    "dag_run": ("conf",),
    "serialized_dag": ("data",),
    "task_instance": ("next_kwargs",),
    "trigger": ("kwargs",),
    "variable": ("val",),
}
_RENDERED = {"rendered_task_instance_fields": ("rendered_fields", "k8s_pod_yaml")}
_HISTORY = {"task_instance_history": ("next_kwargs",)}
_HITL = ("options", "subject", "body", "defaults", "params", "chosen_options", "params_input")
_TWO = {
    "callback_request": ("callback_data",),
    "dataset": ("extra",),
    "dataset_event": ("extra",),
    **_ALWAYS,
    **_RENDERED,
}
_NEW = {
    **_ASSETS,
    **_ALWAYS,
    "asset_state_store": ("value",),
    "callback": ("data", "output"),
    "hitl_detail": _HITL,
    "task_state_store": ("value",),
}
_RELEASES = {
    "2.5.0-default-sqlite": _TWO,
    "2.11.2-commonio-pg": {**_TWO, **_HISTORY},
    "3.0.6-commonio-sqlite": {
        "callback_request": ("callback_data",),
        "deadline": ("callback_kwargs",),
        **_ASSETS,
        **_ALWAYS,
        **_RENDERED,
        **_HISTORY,
    },
    "3.3.2-commonio-pg": {**_NEW, **_RENDERED, **_HISTORY, "hitl_detail_history": _HITL},
    "3.4.0b2-commonio-sqlite": {
        **_NEW,
        **dict.fromkeys(("rtif_v1", "rtif_v2"), ("rendered_fields", "k8s_pod_yaml")),
    },
}


@pytest.mark.parametrize("name", _RELEASES)
def test_the_places_of_each_release(world: Callable[..., World], name: str) -> None:
    """Which columns of which release are looked through; rows of all of them can be named, and read."""
    with closing(DatabaseSource(world(name, store=False).db_url)) as source:
        with source._connections.reading() as connection:
            places = places_in(read_shape(connection, source._address, None), ())
        assert {place.table: place.columns for place in places} == _RELEASES[name]
        assert all(place.key for place in places)
        assert all(one.key for one in mentioned(source))


@contextmanager
def reader(airflow: AirflowDatabase, *grants: str) -> Iterator[str]:
    """The URL of a PostgreSQL role that may read Airflow's own tables, and what else it is granted."""
    role = f"reader_{airflow.url.rpartition('/')[2]}"
    airflow.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'reads'")
    airflow.execute(f"GRANT SELECT ON dag, {airflow.table} TO {role}")
    try:
        for grant in grants:
            airflow.execute(f"GRANT {grant} TO {role}")
        yield make_url(airflow.url).set(username=role, password="reads").render_as_string(False)  # noqa: S106
    finally:
        airflow.execute(f"DROP OWNED BY {role}")
        airflow.execute(f"DROP ROLE {role}")


@pytest.fixture
def newest(postgres_database: str) -> Iterator[AirflowDatabase]:
    """A database of Airflow 3 on PostgreSQL, with places."""
    with AirflowDatabase(postgres_database, "airflow-3") as database:
        add_places(database.create())
        yield database


def test_a_missing_right_names_all_that_is_to_be_granted(newest: AirflowDatabase) -> None:
    """Nothing is left out in silence: the error says what to grant, by columns, and how to do without; both work."""
    newest._insert("variable", id=1, key="latest", val=ONE)
    with (
        reader(newest, "SELECT ON dag_run, task_instance") as url,
        closing(DatabaseSource(url)) as source,
        closing(DatabaseSource(url, None, ("variable", "connection", "asset_event"))) as without,
    ):
        with pytest.raises(
            SourceError, match="may not look through asset_event, connection, variable"
        ) as told:
            source.require_places()
        assert told.value.hint is not None
        granted, _, rest = told.value.hint.partition("; or ")
        assert granted.startswith("GRANT SELECT (id, extra) ON asset_event TO reader_")
        assert rest == "let them keep nothing: --ignore-places asset_event,connection,variable"
        with pytest.raises(SourceError, match="may not look through"):
            mentioned(source)
        assert source.rights().lacking["SELECT"] == ("asset_event", "connection", "variable")
        without.require_places()
        assert mentioned(without) == []
        for grant in granted.split("; "):
            newest.execute(grant)
        source.require_places()
        assert "asset_event" not in source.rights().lacking.get("SELECT", ())
        assert [one.text for one in mentioned(source)] == [ONE]


def test_a_policy_that_hides_a_variable_is_an_error(newest: AirflowDatabase) -> None:
    """Row-level security may not make the picture smaller here either."""
    newest._insert("variable", id=1, key="latest", val=ONE)
    newest.execute("ALTER TABLE variable ENABLE ROW LEVEL SECURITY")
    newest.execute("CREATE POLICY own ON variable USING (key = 'own')")
    grants = "SELECT ON dag_run, task_instance, variable, connection, asset_event"
    with (
        reader(newest, grants) as url,
        closing(DatabaseSource(url)) as source,
        pytest.raises(SourceError, match="row-level security policy"),
    ):
        mentioned(source)
