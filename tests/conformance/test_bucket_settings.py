"""What a bucket does by itself and what its user may do there, as the store is asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.services.fault_proxy import fault_proxy
from tests.services.object_stores import MotoServer, new_bucket, point_to, remove_bucket
from tests.services.s3_requests import is_writing
from tests.services.scripted_store import Asked
from tests.services.store_faults import error, only
from xcomctl.demo.server import SeaweedFS
from xcomctl.errors import StoreError
from xcomctl.models import Root
from xcomctl.s3.interface import BucketSettings, LifecycleRule, StoreErrorInfo
from xcomctl.s3.store import S3Settings, S3Store


@pytest.fixture
def moto(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, S3Store, str]]:
    """A client and a store of moto's server, and a new bucket there."""
    point_to(monkeypatch, moto_server)
    bucket = new_bucket(moto_server)
    with closing(moto_server.client()) as client, closing(S3Store(S3Settings())) as store:
        yield client, store, bucket
    remove_bucket(moto_server, bucket)


def test_a_new_bucket_does_nothing_by_itself(moto: tuple[Any, S3Store, str]) -> None:
    """No versions, no lock, no rule; encryption as the server has it."""
    _, store, bucket = moto
    found = store.settings(bucket)
    assert (found.versioning, found.mfa_delete, found.object_lock) == ("off", False, False)
    assert found.lifecycle == ()
    with pytest.raises(StoreError, match="does not exist"):
        store.settings("no-such-bucket")


def test_rules_of_every_form_are_read(moto: tuple[Any, S3Store, str]) -> None:
    """Old and new filters, tags, days and dates; disabled rules are left out."""
    client, store, bucket = moto
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {
                        "SSEAlgorithm": "aws:kms",
                        "KMSMasterKeyID": "arn:aws:kms:us-east-1:1:key/2",
                    }
                }
            ]
        },
    )
    rule = {"Status": "Enabled"}
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={
            "Rules": [
                {**rule, "ID": "old", "Prefix": "a/", "Expiration": {"Days": 30}},
                {**rule, "ID": "off", "Status": "Disabled", "Prefix": "", "Expiration": {"Days": 1}},
                {
                    **rule,
                    "ID": "date",
                    "Filter": {"Prefix": ""},
                    "Expiration": {"Date": datetime(2030, 1, 1)},
                },
                {
                    **rule,
                    "ID": "narrow",
                    "Filter": {
                        "And": {
                            "Prefix": "b/",
                            "Tags": [{"Key": "k", "Value": "v"}],
                        }
                    },
                    "Expiration": {"Days": 2},
                },
                {
                    **rule,
                    "ID": "versions",
                    "Filter": {"Prefix": "c/"},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
                    "Transitions": [
                        {"Days": 90, "StorageClass": "DEEP_ARCHIVE"},
                        {"Days": 30, "StorageClass": "STANDARD_IA"},
                        {"Days": 60, "StorageClass": "GLACIER"},
                    ],
                },
            ]
        },
    )
    assert store.settings(bucket) == BucketSettings(
        versioning="enabled",
        mfa_delete=False,
        object_lock=False,
        encryption="aws:kms",
        encryption_key="arn:aws:kms:us-east-1:1:key/2",
        lifecycle=(
            LifecycleRule("old", "a/", expire_days=30),
            LifecycleRule("date", "", expire_at=datetime(2030, 1, 1, tzinfo=timezone.utc)),
            LifecycleRule("narrow", "b/", tagged=True, expire_days=2),
            LifecycleRule("versions", "c/", noncurrent_days=3, moved_days=60, moved_to="GLACIER"),
        ),
    )


def test_what_is_denied_is_told(aws_environment: SeaweedFS, seaweed_bucket: str) -> None:
    """Each setting that may not be asked for says so, with the right that is missing; the others are told."""
    denied = only(
        lambda asked: "lifecycle" in asked.query or "encryption" in asked.query, error(403, "AccessDenied")
    )
    with (
        fault_proxy(aws_environment, denied) as proxy,
        closing(S3Store(S3Settings(endpoint_url=proxy.endpoint_url))) as store,
    ):
        found = store.settings(seaweed_bucket)
    assert found.versioning == "off"
    assert isinstance(found.encryption, StoreErrorInfo)
    assert isinstance(found.lifecycle, StoreErrorInfo)
    assert "grant s3:GetLifecycleConfiguration on arn:aws:s3:::" in str(found.lifecycle.hint)


def test_rights_are_told_without_a_trace(aws_environment: SeaweedFS, seaweed_bucket: str) -> None:
    """The administrator may do everything, a reader reads; an object that would be a trace is never made."""
    root = Root(seaweed_bucket, "xcom/")
    with ExitStack() as opened:
        client = opened.enter_context(closing(aws_environment.client()))
        client.put_object(Bucket=seaweed_bucket, Key="xcom/a", Body=b"a")
        proxy = opened.enter_context(fault_proxy(aws_environment))
        store = opened.enter_context(closing(S3Store(S3Settings(endpoint_url=proxy.endpoint_url))))

        def told() -> dict[str, str]:
            return {right.name.removeprefix("s3:"): right.granted for right in store.rights(root)}

        everything = dict.fromkeys(("ListBucket", "GetObject", "PutObject", "DeleteObject"), "yes")
        assert told() == everything
        with proxy.with_faults(only(is_writing, error(403, "AccessDenied"))):
            assert told() == {**everything, "PutObject": "no", "DeleteObject": "no"}
        with proxy.with_faults(only(is_writing, error(400, "Strange"))):
            assert told() == {**everything, "DeleteObject": "unknown"}

        client.put_bucket_versioning(Bucket=seaweed_bucket, VersioningConfiguration={"Status": "Enabled"})
        assert told() == {**everything, "DeleteObject": "unknown"}
        versions = client.list_object_versions(Bucket=seaweed_bucket)
        assert [version["Key"] for version in versions.get("Versions", [])] == ["xcom/a"]
        assert versions.get("DeleteMarkers", []) == []
        assert "Uploads" not in client.list_multipart_uploads(Bucket=seaweed_bucket)
        assert [asked for asked in proxy.asked if _could_write(asked)] == []


def _could_write(asked: Asked) -> bool:
    """Whether a request would make an object, if the store did not look at what else it says."""
    return asked.method == "PUT" or (asked.method == "POST" and "uploads" in asked.query)
