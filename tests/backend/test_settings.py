from __future__ import annotations

import pytest

from xcomctl_backend._settings import Settings, load
from xcomctl_backend.errors import SettingError


def _load(**options: str) -> Settings:
    return load(options.get)


def test_a_path_is_enough() -> None:
    """With nothing but a path, values of 1 KiB or more go to S3 and frames are Parquet."""
    assert _load(path="s3://bucket/airflow/xcom") == Settings(
        "bucket", "airflow/xcom", None, 1024, "parquet", None, None
    )


def test_every_setting() -> None:
    """Each setting is read; white space around it does not count."""
    settings = _load(
        path=" s3://aws_default@my.bucket/a b/é/ ",
        threshold="0",
        format="CSV",
        endpoint_url="http://127.0.0.1:9000",
        region="eu-west-3",
    )
    assert settings == Settings(
        "my.bucket", "a b/é", "aws_default", 0, "csv", "http://127.0.0.1:9000", "eu-west-3"
    )


@pytest.mark.parametrize("path", ["s3://bucket", "s3://bucket/"])
def test_a_bucket_alone_is_a_path(path: str) -> None:
    """The whole bucket may be used: then there is no prefix."""
    assert _load(path=path).prefix == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "[xcomctl_backend] path (AIRFLOW__XCOMCTL_BACKEND__PATH) is not set: write s3://bucket/prefix"),
        ({"path": "  "}, "[xcomctl_backend] path (AIRFLOW__XCOMCTL_BACKEND__PATH) is not set"),
        ({"path": "/mnt/xcom"}, "path (AIRFLOW__XCOMCTL_BACKEND__PATH) is not s3://bucket/prefix"),
        ({"path": "s3://"}, "is not s3://bucket/prefix"),
        ({"path": "s3://key:hunter2@bucket/x"}, "holds credentials: put them into an Airflow connection"),
        ({"path": "s3://bucket/a//b"}, "has a prefix with an empty, '.', '..' or '.xcomctl' segment"),
        ({"path": "s3://bucket/../b"}, "has a prefix with an empty"),
        ({"path": "s3://bucket/.xcomctl/b"}, "has a prefix with an empty"),
        ({"path": "s3://bucket/" + "é" * 201}, "has a prefix of more than 400 bytes"),
        (
            {"path": "s3://bucket", "threshold": "1k"},
            "threshold (AIRFLOW__XCOMCTL_BACKEND__THRESHOLD) is '1k': write",
        ),
        (
            {"path": "s3://bucket", "threshold": "-1"},
            "threshold (AIRFLOW__XCOMCTL_BACKEND__THRESHOLD) is '-1'",
        ),
        (
            {"path": "s3://bucket", "format": "pickle"},
            "format (AIRFLOW__XCOMCTL_BACKEND__FORMAT) is 'pickle': write par",
        ),
        (
            {"path": "s3://bucket", "endpoint_url": "127.0.0.1:9000"},
            "endpoint_url (AIRFLOW__XCOMCTL_BACKEND__ENDPOINT",
        ),
        ({"path": "s3://bucket", "endpoint_url": "http://u:hunter2@h"}, "is not a URL like"),
    ],
)
def test_wrong_settings_are_named(options: dict[str, str], message: str) -> None:
    """An error names the setting and its environment variable, says what to write, and repeats no password."""
    with pytest.raises(SettingError) as caught:
        _load(**options)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
