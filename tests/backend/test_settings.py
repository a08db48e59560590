from __future__ import annotations

from pathlib import Path

import pytest

from xcomctl_backend._settings import OPTIONS, Settings, load
from xcomctl_backend.errors import SettingError

README = (Path(__file__).parents[2] / "backend" / "README.md").read_text(encoding="utf-8")


def _load(**options: str) -> Settings:
    return load(options.get)


def test_a_path_is_enough() -> None:
    """With nothing but a path, values of 1 KiB or more go to S3, frames are Parquet, and nothing else is asked for."""
    settings = _load(path="s3://bucket/airflow/xcom")
    assert settings == Settings("bucket", "airflow/xcom", None, 1024, "parquet", None, None)
    assert (settings.write_options, settings.request_options) == ({}, {})


def test_every_setting() -> None:
    """Each setting is read; white space around it does not count."""
    options = {
        "path": " s3://aws_default@my.bucket/a b/é/ ",
        "threshold": "0",
        "format": "CSV",
        "compression": "gzip",
        "endpoint_url": "http://127.0.0.1:9000",
        "region": "eu-west-3",
        "encryption": "aws:kms",
        "kms_key_id": "alias/xcom",
        "storage_class": "STANDARD_IA",
        "tags": "team=data, cost = e t l",
        "requester_pays": "True",
        "legacy_xcom_s3": "old, older",
        "legacy_common_io": "s3://aws_default@xcoms/air/, s3://xcoms2",
        "legacy_pickles": "yes",
    }
    assert tuple(options) == OPTIONS
    settings = _load(**options)
    assert settings == Settings(
        bucket="my.bucket",
        prefix="a b/é",
        connection_id="aws_default",
        threshold=0,
        frame_format="csv",
        endpoint_url="http://127.0.0.1:9000",
        region="eu-west-3",
        compression="gzip",
        encryption="aws:kms",
        kms_key_id="alias/xcom",
        storage_class="STANDARD_IA",
        tags=(("team", "data"), ("cost", "e t l")),
        requester_pays=True,
        legacy_xcom_s3=("old", "older"),
        legacy_common_io=(("xcoms", "air"), ("xcoms2", "")),
        legacy_pickles=True,
    )
    assert settings.write_options == {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "alias/xcom",
        "StorageClass": "STANDARD_IA",
        "Tagging": "team=data&cost=e+t+l",
    }
    assert settings.request_options == {"RequestPayer": "requester"}


@pytest.mark.parametrize("option", OPTIONS)
def test_the_readme_lists_every_setting(option: str) -> None:
    """Every setting that the code reads has a line in the README of the backend."""
    assert f"\n| `{option}` |" in README


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
            {"path": "s3://bucket", "compression": "zstd"},
            "compression (AIRFLOW__XCOMCTL_BACKEND__COMPRESSION) is 'zstd': write none or gzip",
        ),
        (
            {"path": "s3://b12", "encryption": "kms"},
            "(AIRFLOW__XCOMCTL_BACKEND__ENCRYPTION) is 'kms': write AES256 or",
        ),
        ({"path": "s3://b12", "kms_key_id": "k"}, "is set, and [xcomctl_backend] encryption is not aws:kms"),
        ({"path": "s3://b12", "storage_class": "cold"}, "is 'cold': write one like STANDARD_IA"),
        (
            {"path": "s3://b12", "storage_class": "GLACIER"},
            "is GLACIER: a task could not read such an object",
        ),
        ({"path": "s3://b12", "tags": "team"}, "is not a list like team=data,cost=etl with each name once"),
        (
            {"path": "s3://b12", "tags": "a=1,a=2"},
            "is not a list like team=data,cost=etl with each name once",
        ),
        ({"path": "s3://b12", "tags": ",".join(f"t{n}=1" for n in range(11))}, "has more than 10 tags"),
        ({"path": "s3://b12", "requester_pays": "maybe"}, "is 'maybe': write True or False"),
        ({"path": "s3://b12", "legacy_xcom_s3": "s3://old"}, "is not a list of buckets like my-xcoms"),
        ({"path": "s3://b12", "legacy_common_io": "s3://k:hunter2@b12"}, "is not a list of paths like s3://"),
        ({"path": "s3://b12", "legacy_common_io": "/mnt"}, "is not a list of paths like s3://"),
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
