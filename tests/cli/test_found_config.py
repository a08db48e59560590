"""A configuration file that lies in the current folder gets no password that is not its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.services.command import Command
from tests.services.scripted_store import Answer, ScriptedStore, scripted_store
from xcomctl.config.session import Session
from xcomctl.config.settings import Configuration, Flags
from xcomctl.errors import UsageError


@pytest.fixture
def stranger() -> Iterator[ScriptedStore]:
    """A server that takes down what it is sent."""
    with scripted_store(lambda _: Answer(status=403)) as server:
        yield server


@pytest.mark.usefixtures("aws_environment")
def test_a_found_file_sends_no_credentials_to_its_endpoint(xcomctl: Command, stranger: ScriptedStore) -> None:
    """Exit 2 with what to type, and nothing is sent; named by --config or by a variable the same file is used."""
    (xcomctl.folder / "xcomctl.toml").write_text(f'endpoint_url = "{stranger.endpoint_url}"')
    words = ("show", "s3://xcoms/prod/etl/r1/load/x", "--db", "sqlite:////no/such.db")
    for more in ((), ("--profile", "p")):
        if more:
            (xcomctl.folder / "xcomctl.toml").write_text(
                f'[profile.p]\nendpoint_url = "{stranger.endpoint_url}"'
            )
        done = xcomctl(*words, *more)
        origin = "profile p in xcomctl.toml" if more else "xcomctl.toml"
        assert (done.code, done.stderr.splitlines(), stranger.asked) == (
            2,
            [
                f"error: {origin}, which lies in the current folder, names an endpoint of the store, to which your"
                " AWS credentials would go",
                "hint: --config xcomctl.toml, if the file is yours",
            ],
            [],
        )
    named = xcomctl(*words, "--profile", "p", "--config", "xcomctl.toml")
    assert (named.code, len(stranger.asked) > 0) == (7, True), named.stderr
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AIRFLOW__XCOMCTL_BACKEND__ENDPOINT_URL"):
        known = xcomctl(*words, "--profile", "p", env={name: f"{stranger.endpoint_url}/"})
        assert known.code == 7, known.stderr
    assert xcomctl(*words, "--profile", "p", env={"XCOMCTL_CONFIG": "xcomctl.toml"}).code == 7
    # It can be looked at.
    assert xcomctl("config", "show").code == 0


FOREIGN = {
    "the password of the environment": ("postgresql://me@evil/airflow", {"PGPASSWORD": "hush"}),
    "that for another host": ("postgresql://me@evil/airflow", {"PGPASSWORD": "hush", "PGHOST": "db"}),
    "that for this host, on another way": (
        "postgresql://me@db/airflow?hostaddr=10.6.6.6",
        {"PGPASSWORD": "hush", "PGHOST": "db"},
    ),
    "that for this host, with options": (
        "postgresql://me@db/airflow?options=-csearch_path%3Devil",
        {"PGPASSWORD": "hush", "PGHOST": "db"},
    ),
    "that for this host, unencrypted": (
        "postgresql://me@db/airflow?sslmode=disable",
        {"PGPASSWORD": "hush", "PGHOST": "db"},
    ),
    "a host among the parameters": ("postgresql://me@/airflow?host=evil", {"PGPASSWORD": "hush"}),
    "a password file, asked for another host": ("postgresql://me@db/airflow?hostaddr=10.6.6.6", {}),
    "a password file of its choice": ("postgresql://me@evil/airflow?passfile=/home/me/.pgpass", {}),
    "a service": ("postgresql://me@evil/airflow?service=prod", {}),
    "the service of the environment": ("postgresql://me@evil/airflow", {"PGSERVICE": "prod"}),
    "the options of MySQL": ("mysql://me@evil/airflow?read_default_file=/home/me/.my.cnf", {}),
}

OWN = {
    "a file": ("sqlite:////data/airflow.db", {"PGPASSWORD": "hush"}),
    "its own password": ("postgresql://me:own@evil/airflow?sslmode=disable", {"PGPASSWORD": "hush"}),
    "no password": ("postgresql://me@evil/airflow", {}),
    "the host of the environment": ("postgresql://me@db/airflow", {"PGPASSWORD": "hush", "PGHOST": "db"}),
    "MySQL, which has none in the environment": ("mysql://me@evil/airflow", {"PGPASSWORD": "hush"}),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and a configuration folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def _source(environ: dict[str, str], **flags: object) -> None:
    """Make the source of a session; nothing is connected."""
    with closing(Session(Configuration(Flags(**flags), environ)).source):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize("case", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_found_file_gets_no_password_from_elsewhere(folder: Path, case: tuple[str, dict[str, str]]) -> None:
    """It is refused before anything is connected, without a word of the password; named, it is used."""
    url, environ = case
    (folder / "xcomctl.toml").write_text(f'db = "{url}"')
    with pytest.raises(UsageError, match=r"xcomctl\.toml, which lies in the current folder") as raised:
        _source(environ)
    assert (raised.value.hint, "hush" in str(raised.value)) == (
        "--config xcomctl.toml, if the file is yours",
        False,
    )
    _source(environ, config=folder / "xcomctl.toml")
    _source({**environ, "XCOMCTL_CONFIG": "xcomctl.toml"})
    (folder / "config" / "xcomctl").mkdir(parents=True)
    (folder / "xcomctl.toml").rename(folder / "config" / "xcomctl" / "xcomctl.toml")
    _source(environ)


@pytest.mark.parametrize("case", OWN.values(), ids=OWN.keys())
def test_a_found_file_with_its_own_password_is_used(folder: Path, case: tuple[str, dict[str, str]]) -> None:
    """It says where the data is, as ever."""
    url, environ = case
    (folder / "xcomctl.toml").write_text(f'db = "{url}"')
    _source(environ)


def test_the_users_own_file_is_no_found_one_in_its_own_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who works in the folder for configuration has named it by being who he is."""
    own = folder / "config" / "xcomctl"
    own.mkdir(parents=True)
    (own / "xcomctl.toml").write_text('db = "postgresql://me@db/airflow"')
    monkeypatch.chdir(own)
    _source({"PGPASSWORD": "hush"})
