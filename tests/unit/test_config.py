"""Where each setting comes from, and which source wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from xcomctl.config.settings import Configuration, Flags, Setting
from xcomctl.errors import UsageError
from xcomctl.models import Root

FILE = """
db = "sqlite:////top.db"
region = "eu-top-1"

[profile.prod]
db = "postgresql://prod/airflow"
db_schema = "airflow"
stores = ["s3://prod/xcom", "s3://conn@prod/xcom/"]
endpoint_url = "http://prod:9000"
aws_profile = "prod-reader"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, home folder and configuration folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def configuration(home: Path, environ: dict[str, str] | None = None, **flags: object) -> Configuration:
    """A configuration in an environment that holds only what is given."""
    return Configuration(Flags(**flags), {"HOME": str(home), **(environ or {})})  # type: ignore[arg-type]


def test_a_flag_wins_over_everything(home: Path) -> None:
    """Flag, then XCOMCTL_DB, then the profile, then the file, then Airflow."""
    (home / "xcomctl.toml").write_text(FILE)
    airflow = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////airflow.db"}
    own = {**airflow, "XCOMCTL_DB": "sqlite:////env.db"}
    assert [
        configuration(home, own, db="sqlite:////flag.db", profile="prod").database(),
        configuration(home, own, profile="prod").database(),
        configuration(home, airflow, profile="prod").database(),
        configuration(home, airflow).database(),
        configuration(home, airflow, config=_written(home / "other.toml", "")).database(),
    ] == [
        Setting("sqlite:////flag.db", "--db"),
        Setting("sqlite:////env.db", "XCOMCTL_DB"),
        Setting("postgresql://prod/airflow", "profile prod in xcomctl.toml"),
        Setting("sqlite:////top.db", "xcomctl.toml"),
        Setting("sqlite:////airflow.db", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"),
    ]


def test_precedence_is_value_by_value(home: Path) -> None:
    """What the profile does not say comes from the file's top level; the rest is left to defaults."""
    (home / "xcomctl.toml").write_text(FILE)
    found = configuration(home, {"XCOMCTL_PROFILE": "prod", "XCOMCTL_AWS_PROFILE": "me"})
    assert found.profile() == Setting("prod", "XCOMCTL_PROFILE")
    assert found.region() == Setting("eu-top-1", "xcomctl.toml")
    assert found.db_schema() == Setting("airflow", "profile prod in xcomctl.toml")
    assert found.endpoint_url() == Setting("http://prod:9000", "profile prod in xcomctl.toml")
    assert found.aws_profile() == Setting("me", "XCOMCTL_AWS_PROFILE")
    assert configuration(home).aws_profile() == Setting(None, "default")


def test_stores_are_roots_each_once(home: Path) -> None:
    """The connection id and a trailing slash make no other root."""
    (home / "xcomctl.toml").write_text(FILE)
    found = configuration(home, profile="prod").stores()
    assert found == Setting((Root("prod", "xcom/"),), "profile prod in xcomctl.toml")


@pytest.mark.parametrize("text", ["s3://a,s3://b/x", "s3://a s3://b/x", " s3://a ,  s3://b/x,"])
def test_xcomctl_store_holds_several_roots(home: Path, text: str) -> None:
    """Separated by commas or blanks."""
    found = configuration(home, {"XCOMCTL_STORE": text}).stores()
    assert found == Setting((Root("a"), Root("b", "x/")), "XCOMCTL_STORE")


def test_stores_come_from_both_backends_of_airflow_if_they_are_on_s3(home: Path) -> None:
    """Other schemes are no mistake: Airflow may keep XComs there, and they are not ours."""
    common_io = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"
    ours = "AIRFLOW__XCOMCTL_BACKEND__PATH"
    both = {ours: "s3://x/ours", common_io: "s3://aws_default@xcoms/base"}
    assert configuration(home, both).stores() == Setting(
        (Root("x", "ours/"), Root("xcoms", "base/")), f"{ours} and {common_io}"
    )
    assert configuration(home, {common_io: "gs://b/y"}).stores() == Setting((), "default")


def test_a_store_that_is_no_address_is_named_with_its_origin(home: Path) -> None:
    """So that the user knows which of the places to mend."""
    with pytest.raises(UsageError, match=r"'bucket/x' is not an S3 address \(XCOMCTL_STORE\)"):
        configuration(home, {"XCOMCTL_STORE": "bucket/x"}).stores()


def test_the_usual_files_are_the_working_folder_then_the_users(home: Path) -> None:
    """`./xcomctl.toml` wins over the one in the user's configuration folder; `XCOMCTL_CONFIG` over both."""
    users = _written(home / "config" / "xcomctl" / "xcomctl.toml", 'db = "sqlite:////users.db"')
    assert configuration(home).database() == Setting("sqlite:////users.db", str(users))
    _written(home / "xcomctl.toml", 'db = "sqlite:////here.db"')
    assert configuration(home).database() == Setting("sqlite:////here.db", "xcomctl.toml")
    named = _written(home / "named.toml", 'db = "sqlite:////named.db"')
    environ = {"XCOMCTL_CONFIG": str(named)}
    assert configuration(home, environ).database() == Setting("sqlite:////named.db", str(named))


def test_airflows_schema_goes_with_airflows_database_only(home: Path) -> None:
    """It says nothing of a database that was named otherwise."""
    environ = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://h/a",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA": "airflow",
    }
    schema = Setting("airflow", "AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA")
    assert configuration(home, environ).db_schema() == schema
    assert configuration(home, environ, db="postgresql://other/b").db_schema() == Setting(None, "default")
    own = configuration(home, environ, db="postgresql://other/b", db_schema="mine")
    assert own.db_schema() == Setting("mine", "--db-schema")


def test_no_database_at_all_says_what_to_type(home: Path) -> None:
    """The hint is a command line."""
    with pytest.raises(UsageError, match="no metadata database is given") as caught:
        configuration(home).database()
    assert caught.value.exit_code == 2
    assert caught.value.hint == "xcomctl ls --db postgresql://user@host/airflow, or set XCOMCTL_DB"


@pytest.mark.parametrize("name", ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "XCOMCTL_DB"])
def test_the_url_of_airflow_3_tasks_is_no_database(home: Path, name: str) -> None:
    """Not even if Airflow's default database lies about: it need not be the one in use."""
    _written(home / "airflow" / "airflow.db", "")
    with pytest.raises(UsageError, match=name):
        configuration(home, {name: "airflow-db-not-allowed:///"}).database()


def test_an_unknown_profile_is_named_with_those_that_exist(home: Path) -> None:
    """A profile that cannot be found is never ignored."""
    (home / "xcomctl.toml").write_text(FILE)
    with pytest.raises(UsageError, match=r"'prd' \(--profile\) is not in xcomctl.toml") as caught:
        configuration(home, profile="prd").database()
    assert caught.value.hint == "profiles there: prod"


def test_a_profile_without_a_file_is_a_usage_error(home: Path) -> None:
    """The hint says where profiles are written."""
    with pytest.raises(UsageError, match="needs a configuration file"):
        configuration(home, {"XCOMCTL_PROFILE": "prod"}).region()


def test_an_empty_flag_is_a_usage_error(home: Path) -> None:
    """As it comes from an unset variable in a script: `--db "$DB"`."""
    with pytest.raises(UsageError, match="--db is empty"):
        configuration(home, db="").database()


def test_an_endpoint_needs_a_scheme(home: Path) -> None:
    """Otherwise boto3 fails later with a text that names no option."""
    with pytest.raises(UsageError, match=r"localhost:8333 \(--endpoint-url\) is not an endpoint URL"):
        configuration(home, endpoint_url="localhost:8333").endpoint_url()


def test_a_flag_spares_what_it_overrides(home: Path) -> None:
    """With `--db`, a failing command in Airflow's settings is never run."""
    environ = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": "false"}
    assert configuration(home, environ, db="sqlite:////x.db").database().origin == "--db"


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_store_of_the_backend_is_reached_as_the_backend_does(home: Path) -> None:
    """Endpoint and region come from the backend's settings too, unless the store was named otherwise."""
    airflow = {
        "AIRFLOW__XCOMCTL_BACKEND__PATH": "s3://x/ours",
        "AIRFLOW__XCOMCTL_BACKEND__ENDPOINT_URL": "http://minio:9000",
        "AIRFLOW__XCOMCTL_BACKEND__REGION": "eu-west-3",
    }
    found = configuration(home, airflow)
    assert (found.endpoint_url(), found.region()) == (
        Setting("http://minio:9000", "AIRFLOW__XCOMCTL_BACKEND__ENDPOINT_URL"),
        Setting("eu-west-3", "AIRFLOW__XCOMCTL_BACKEND__REGION"),
    )
    named = configuration(home, {**airflow, "XCOMCTL_STORE": "s3://other"}, region="eu-top-1")
    assert (named.endpoint_url(), named.region()) == (
        Setting(None, "default"),
        Setting("eu-top-1", "--region"),
    )


def test_places_to_ignore_come_with_commas(home: Path) -> None:
    """Tables whose mentions keep nothing, from the command line or a variable."""
    environ = {"XCOMCTL_IGNORE_PLACES": "variable, connection,"}
    named = configuration(home, environ).ignore_places()
    assert named == Setting(("variable", "connection"), "XCOMCTL_IGNORE_PLACES")
    given = configuration(home, environ, ignore_places="trigger").ignore_places()
    assert given == Setting(("trigger",), "--ignore-places")
