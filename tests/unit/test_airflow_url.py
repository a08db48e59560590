"""The forms of a database URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from xcomctl.airflow.url import parse_url
from xcomctl.errors import UsageError


@pytest.mark.parametrize(
    ("text", "connected"),
    [
        ("postgresql://u:p@db:5432/airflow", "postgresql+psycopg2://u:p@db:5432/airflow"),
        ("postgres://u:p@db/airflow", "postgresql+psycopg2://u:p@db/airflow"),
        ("postgresql+psycopg2://u:p@db/airflow", "postgresql+psycopg2://u:p@db/airflow"),
        ("postgresql+psycopg://u:p@db/airflow", "postgresql+psycopg2://u:p@db/airflow"),
        (
            "postgresql+asyncpg://u:p@db/airflow?ssl=true",
            "postgresql+psycopg2://u:p@db/airflow?sslmode=require",
        ),
        ("postgresql+asyncpg://db/a?ssl=verify-full", "postgresql+psycopg2://db/a?sslmode=verify-full"),
        ("postgresql+asyncpg://db/a?prepared_statement_cache_size=0", "postgresql+psycopg2://db/a"),
        (
            "postgresql://u:p%40ss%2Fword@db/a?sslmode=verify-ca&options=-csearch_path%3Dx",
            "postgresql+psycopg2://u:p%40ss%2Fword@db/a?options=-csearch_path%3Dx&sslmode=verify-ca",
        ),
        ("  POSTGRESQL://db/a\n", "postgresql+psycopg2://db/a"),
        ("mysql://u:p@db/airflow", "mysql+pymysql://u:p@db/airflow"),
        ("mysql+mysqldb://u:p@db/airflow?charset=utf8mb4", "mysql+pymysql://u:p@db/airflow?charset=utf8mb4"),
        ("mysql+mysqlconnector://u@db:3307/a", "mysql+pymysql://u@db:3307/a"),
        ("mysql+aiomysql://u@db/a", "mysql+pymysql://u@db/a"),
        ("mysql+asyncmy://u@db/a?use_unicode=1", "mysql+pymysql://u@db/a"),
        ("mariadb+mariadbconnector://u@db/a", "mysql+pymysql://u@db/a"),
        ("sqlite:////var/airflow/airflow.db", "sqlite+pysqlite:////var/airflow/airflow.db"),
        ("sqlite+aiosqlite:////var/airflow/airflow.db", "sqlite+pysqlite:////var/airflow/airflow.db"),
        ("sqlite:///file:/var/airflow.db?mode=rw&uri=true", "sqlite+pysqlite:////var/airflow.db"),
    ],
)
def test_every_form_that_airflow_accepts_is_connected_with_our_driver(text: str, connected: str) -> None:
    """The driver is replaced; everything else is kept or translated."""
    assert parse_url(text).url.render_as_string(hide_password=False) == connected


def test_a_relative_path_is_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slashes and a name mean a file in the current folder."""
    monkeypatch.chdir(tmp_path)
    assert parse_url("sqlite:///airflow.db").label == f"sqlite:///{tmp_path / 'airflow.db'}"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (
            "postgresql+asyncpg://airflow:secret@db:5432/airflow?sslmode=require",
            "postgresql://airflow@db:5432/airflow",
        ),
        ("postgresql://:secret@[::1]:5432/airflow", "postgresql://[::1]:5432/airflow"),
        (
            "postgresql:///airflow?host=/var/run/postgresql&password=secret",
            "postgresql:///var/run/postgresql/airflow",
        ),
        ("postgresql:///airflow", "postgresql://localhost/airflow"),
        ("mariadb://airflow:secret@db/airflow", "mysql://airflow@db/airflow"),
        ("mysql:///airflow?unix_socket=/run/mysqld/mysqld.sock", "mysql:///run/mysqld/mysqld.sock/airflow"),
        ("sqlite:////var/airflow.db", "sqlite:////var/airflow.db"),
    ],
)
def test_a_label_is_for_people_and_has_no_password(text: str, label: str) -> None:
    """Engine, user, host, port and database; no parameter, as one could be a password."""
    assert parse_url(text).label == label


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "not given as a URL"),
        ("airflow", "not given as a URL"),
        ("/var/airflow.db", "not given as a URL"),
        ("postgresql://user:secret@h1:1,h2:2/db", "not given as a URL"),
        ("mssql+pyodbc://user:secret@db/airflow", "mssql:// is not a database that Airflow can use"),
        ("postgresql+pg8000://user:secret@db/airflow", r"postgresql\+pg8000:// names an unknown driver"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("mysql://user:secret@db/a?colour=secret", r"\?colour=, which the MySQL driver does not know"),
        ("mysql://user:secret@db/a?ssl_fingerprint=secret", r"\?ssl_fingerprint="),
        ("mysql://db/a?ssl_mode=MAYBE", "'MAYBE' is not an ssl_mode"),
        ("airflow-db-not-allowed:///", "Airflow 3 tells its task processes"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_a_hint(text: str, cause: str) -> None:
    """One line says what is wrong, the hint what to write; the password is in neither."""
    with pytest.raises(UsageError, match=cause) as caught:
        parse_url(text)
    assert caught.value.hint
    assert "secret" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("", {}),
        ("?ssl_mode=DISABLED", {"ssl_disabled": True}),
        ("?ssl_disabled=true&ssl_ca=/ca.pem", {"ssl_disabled": True}),
        ("?ssl-mode=REQUIRED", {"ssl": {"check_hostname": False}}),
        (
            "?ssl_mode=VERIFY_CA&ssl_ca=/ca.pem",
            {"ssl": {"verify_mode": True, "check_hostname": False, "ca": "/ca.pem"}},
        ),
        (
            "?ssl_ca=/ca.pem&ssl_cert=/c.pem&ssl_key=/k.pem",
            {"ssl": {"ca": "/ca.pem", "cert": "/c.pem", "key": "/k.pem"}},
        ),
        (
            "?ssl_verify_cert=true&ssl_verify_identity=false",
            {"ssl": {"verify_mode": True, "check_hostname": False}},
        ),
    ],
)
def test_tls_settings_of_any_mysql_driver_are_understood(query: str, arguments: dict[str, object]) -> None:
    """A setting about security is translated, never dropped."""
    address = parse_url(f"mysql://db/airflow{query}")
    assert (dict(address.arguments), dict(address.url.query)) == (arguments, {})
