"""`xcomctl config show`."""

from __future__ import annotations

import json

from tests.services.command import Command

FILE = """
db = "postgresql://airflow:hush@db/airflow?sslpassword=hush"
stores = ["s3://aws_default@a/x", "s3://b"]

[profile.dev]
region = "eu-central-1"

[[dialect]]
name = "team-etl"
reference = 'etl://(?P<key>.+)'
bucket = "team"
"""


def test_every_setting_has_a_value_and_an_origin(xcomctl: Command) -> None:
    """Secrets are masked; nothing is connected, so that a dead database does no harm."""
    (xcomctl.folder / "xcomctl.toml").write_text(FILE)
    done = xcomctl("config", "show", "-o", "json", "--profile", "dev", env={"XCOMCTL_AWS_PROFILE": "me"})
    found = {line["setting"]: (line["value"], line["origin"]) for line in json.loads(done.stdout)}
    assert (done.code, done.stderr) == (0, "")
    assert found == {
        "config": ("xcomctl.toml", "file"),
        "profile": ("dev", "--profile"),
        "db": ("postgresql://airflow:***@db/airflow?sslpassword=***", "xcomctl.toml"),
        "db_schema": (None, "default"),
        "ignore_places": ([], "default"),
        "stores": (["s3://a/x", "s3://b"], "xcomctl.toml"),
        "endpoint_url": (None, "default"),
        "region": ("eu-central-1", "profile dev in xcomctl.toml"),
        "aws_profile": ("me", "XCOMCTL_AWS_PROFILE"),
        "memory": ("1.0 GiB", "default"),
        "threads": (None, "default"),
        "tmp": (None, "default"),
        "log_format": ("text", "default"),
        "dialects": (["team-etl"], "xcomctl.toml"),
    }


def test_a_setting_that_is_wrong_is_shown_with_the_reason(xcomctl: Command) -> None:
    """So that the command that explains the configuration works when the configuration does not."""
    done = xcomctl("config", "show", "--store", "nonsense", "--endpoint-url", "http://u:hush@h")
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert done.code == 0
    assert "no metadata database is given" in lines["db"]
    assert "'nonsense' is not an S3 address (--store)" in lines["stores"]
    assert "http://u:***@h" in lines["endpoint_url"]


def test_a_file_that_is_wrong_is_an_error(xcomctl: Command) -> None:
    """Nothing can be said of the other settings without it."""
    (xcomctl.folder / "xcomctl.toml").write_text("dbb = 'x'")
    done = xcomctl("config", "show")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr == "error: xcomctl.toml: unknown key dbb\nhint: did you mean db?\n"
