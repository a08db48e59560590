"""Airflow's own settings, read without Airflow, in Airflow's order."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from xcomctl.airflow.settings import AirflowSettings, AirflowValue
from xcomctl.errors import UsageError

NEW = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
OLD = "AIRFLOW__CORE__SQL_ALCHEMY_CONN"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """AIRFLOW_HOME, empty."""
    return tmp_path


def connection(home: Path, **environ: str) -> AirflowValue | None:
    """Airflow's `sql_alchemy_conn` in that environment."""
    settings = AirflowSettings({"AIRFLOW_HOME": str(home), **environ})
    return settings.get("database", "sql_alchemy_conn", deprecated=("core",))


def printing(text: str) -> str:
    """A command that prints `text`."""
    return shlex.join([sys.executable, "-c", f"print({text!r})"])


def test_the_order_is_airflows(home: Path) -> None:
    """Variable, its command, then the deprecated section's, then the file's values, then the file's commands."""
    (home / "airflow.cfg").write_text(
        f"[core]\nsql_alchemy_conn = sqlite:////cfg-core\n"
        f"[database]\nsql_alchemy_conn_cmd = {printing('sqlite:////cfg-cmd')}\n"
    )
    environ = {
        NEW: "sqlite:////new",
        f"{NEW}_CMD": printing("sqlite:////new-cmd"),
        OLD: "sqlite:////old",
        f"{OLD}_CMD": printing("sqlite:////old-cmd"),
    }
    found = []
    for name in list(environ):
        found.append(connection(home, **environ))
        del environ[name]
    cfg = home / "airflow.cfg"
    assert [*found, connection(home)] == [
        AirflowValue("sqlite:////new", NEW),
        AirflowValue("sqlite:////new-cmd", f"{NEW}_CMD"),
        AirflowValue("sqlite:////old", OLD),
        AirflowValue("sqlite:////old-cmd", f"{OLD}_CMD"),
        AirflowValue("sqlite:////cfg-core", f"{cfg} [core] sql_alchemy_conn"),
    ]
    cfg.write_text(cfg.read_text().replace("sql_alchemy_conn = ", "#"))
    assert connection(home) == AirflowValue("sqlite:////cfg-cmd", f"{cfg} [database] sql_alchemy_conn_cmd")


def test_the_file_is_that_of_airflow_config(home: Path) -> None:
    """AIRFLOW_CONFIG wins over AIRFLOW_HOME, which is ~/airflow unless it is set."""
    other = home / "other.cfg"
    other.write_text("[database]\nsql_alchemy_conn = sqlite:////other\n")
    found = connection(home, AIRFLOW_CONFIG="$WHERE/other.cfg", WHERE=str(home))
    assert found == AirflowValue("sqlite:////other", f"{other} [database] sql_alchemy_conn")
    assert AirflowSettings({"HOME": "/home/me"}).file == Path("/home/me/airflow/airflow.cfg")


def test_percent_signs_are_written_twice_in_the_file(home: Path) -> None:
    """Airflow's parser interpolates; formats elsewhere in the file, with single ones, do no harm."""
    (home / "airflow.cfg").write_text(
        "[logging]\nlog_format = [%(asctime)s] %(message)s\n"
        "[database]\nsql_alchemy_conn = postgresql://u:p%%40w@h/a\n"
    )
    found = connection(home)
    assert found is not None
    assert found.value == "postgresql://u:p%40w@h/a"


def test_variables_in_values_are_expanded(home: Path) -> None:
    """As Airflow does; an unknown one stays as it is."""
    found = connection(home, **{NEW: "postgresql://u:$PW@${HOST}/$x", "PW": "s", "HOST": "h"})
    assert found == AirflowValue("postgresql://u:s@h/$x", NEW)


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        (f"{sys.executable} -c 'raise SystemExit(3)'", "exit status 3"),
        (f"{sys.executable} -c pass", "it printed nothing"),
        ("/no/such/program --token=hush", "No such file or directory"),
        ("echo 'hush", "it is not a command"),
    ],
)
def test_a_failing_command_is_an_error_that_names_the_setting(home: Path, command: str, cause: str) -> None:
    """Neither the command, which may hold a token, nor what it prints is repeated."""
    with pytest.raises(UsageError) as caught:
        connection(home, **{f"{NEW}_CMD": command})
    assert str(caught.value) == f"the command in {NEW}_CMD failed: {cause}"


def test_commands_run_without_a_shell(home: Path) -> None:
    """A `;` is an argument, as in Airflow."""
    found = connection(home, **{f"{NEW}_CMD": "echo sqlite:////a; echo b"})
    assert found == AirflowValue("sqlite:////a; echo b", f"{NEW}_CMD")


def test_a_secret_is_explained(home: Path) -> None:
    """Only Airflow can ask its secrets backend; the hint lets it."""
    with pytest.raises(UsageError, match=f"{NEW}_SECRET names a secret") as caught:
        connection(home, **{f"{NEW}_SECRET": "sql_conn"})
    assert caught.value.hint == '--db "$(airflow config get-value database sql_alchemy_conn)"'
    (home / "airflow.cfg").write_text("[database]\nsql_alchemy_conn_secret = sql_conn\n")
    with pytest.raises(UsageError, match="sql_alchemy_conn_secret names a secret"):
        connection(home)


def test_a_broken_file_is_an_error_that_quotes_nothing(home: Path) -> None:
    """A line of it may hold a password."""
    (home / "airflow.cfg").write_text("sql_alchemy_conn = postgresql://u:hush@h/a\n")
    with pytest.raises(UsageError, match="cannot be read: MissingSectionHeaderError") as caught:
        connection(home)
    assert "hush" not in str(caught.value)


def test_the_default_database_counts_only_if_it_exists(home: Path) -> None:
    """Airflow would make it; this tool must not."""
    settings = AirflowSettings({"AIRFLOW_HOME": str(home)})
    assert settings.default_database() is None
    (home / "airflow.db").touch()
    assert settings.default_database() == AirflowValue(f"sqlite:///{home}/airflow.db", "Airflow's default")
