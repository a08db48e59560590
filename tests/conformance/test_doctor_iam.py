"""The policies that `doctor --iam` prints are enough for what they are for, by what a store is really asked."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.conformance.test_doctor import examined
from tests.services.deployment import DAY, MONTH, Deploy
from tests.services.fault_proxy import fault_proxy
from tests.services.s3_requests import actions_of, is_batch_deletion, is_writing
from tests.services.scripted_store import Asked
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.doctor.iam import policy_document, records_policy
from xcomctl.inventory.fsck import check
from xcomctl.inventory.judging import Question
from xcomctl.models import Root
from xcomctl.s3.store import S3Settings, S3Store
from xcomctl.state.journal import operations
from xcomctl.state.undo import Undone, undo


def allowed(document: dict[str, Any], asked: Asked) -> bool:
    """Whether a policy grants all that a request needs, where it is sent."""
    resource = f"arn:aws:s3:::{asked.path.strip('/')}"
    prefix = asked.query.get("prefix")

    def by(statement: dict[str, Any], action: str) -> bool:
        resources = statement["Resource"]
        patterns = statement.get("Condition", {}).get("StringLikeIfExists", {}).get("s3:prefix", ["*"])
        return (
            action in statement["Action"]
            and any(
                fnmatchcase(resource, one)
                for one in ([resources] if isinstance(resources, str) else resources)
            )
            and (prefix is None or any(fnmatchcase(prefix, one) for one in patterns))
        )

    # The keys of a batch are in its body.
    if "delete" in asked.query:
        keys = re.findall(rb"<Key>([^<]*)</Key>", asked.body)
        return all(
            any(
                action in statement["Action"] and fnmatchcase(f"{resource}/{key.decode()}", pattern)
                for statement in document["Statement"]
                for pattern in statement["Resource"]
            )
            for key in keys
            for action in actions_of(asked)
        )
    return all(
        any(by(statement, action) for statement in document["Statement"]) for action in actions_of(asked)
    )


COLLECTOR = "arn:aws:iam::111122223333:role/xcomctl"


def denied(document: dict[str, Any], asked: Asked) -> bool:
    """Whether the policy of a bucket denies a request, sent by anybody but the collector."""
    [statement] = document["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"ArnNotLike": {"aws:PrincipalArn": [COLLECTOR]}}
    resource = f"arn:aws:s3:::{asked.path.strip('/')}"
    matched = any(fnmatchcase(resource, one) for one in statement["Resource"])
    return matched and bool(actions_of(asked) & {*statement["Action"]})


@pytest.mark.parametrize("versioning", ["off", "Enabled"])
def test_the_policies_for_aws_are_enough(deploy: Deploy, versioning: str) -> None:
    """Every request of `gc` and `undo` is granted by that for gc, every one of `fsck` and `doctor` by that for reading."""
    here = deploy()
    if versioning != "off":
        here.client.put_bucket_versioning(Bucket=here.bucket, VersioningConfiguration={"Status": versioning})
    here.push(run="old", age=40 * DAY)
    here.push(run="new")
    here.upload()
    begun = {"Bucket": here.bucket, "Key": f"{here.prefix}/etl/r1/load/unfinished"}
    upload_id = here.client.create_multipart_upload(**begun)["UploadId"]
    root = Root.parse(here.root)
    versioned = [] if versioning == "off" else [here.bucket]
    reading, collecting = (policy_document([root], name, versioned=versioned) for name in ("read-only", "gc"))
    with (
        fault_proxy(here.server) as proxy,
        closing(S3Store(S3Settings(endpoint_url=proxy.endpoint_url))) as store,
    ):
        now = datetime.now(timezone.utc)
        with check(replace(here.sides(), store=store), Question(uploads=True), now=now):
            examined(here, store=store)
        refused = [asked.target for asked in proxy.asked if not allowed(reading, asked)]
        # Who only reads is told so by the refusal of the first.
        assert [target for target in refused if "/.xcomctl/probe/" not in target] == []

        proxy.asked.clear()
        outcome = here.apply(here.plan(MONTH, store=store, accepted=("orphan_share=0.333333",)), store=store)
        assert (outcome.rows["deleted"], outcome.objects["deleted"]) == (1, 2)
        [record] = operations(store, [root])
        back = Undone()
        with here.operation(store=store, command="undo") as operation:
            undo(record, operation, store, DialectRegistry(), back)
        assert (back.rows["inserted"], back.objects["restored"]) == (1, 2)
        assert [asked.target for asked in proxy.asked if not allowed(collecting, asked)] == []
        used = {action for asked in proxy.asked for action in actions_of(asked)}
    granted = {action for statement in collecting["Statement"] for action in statement["Action"]}
    # What only large or tagged objects need, and what `doctor` asks for.
    rarely = {"s3:GetObjectTagging", "s3:PutObjectTagging", "s3:AbortMultipartUpload"}
    settings = {
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetBucketObjectLockConfiguration",
    }
    assert granted - used - rarely - settings == set()
    assert ("s3:DeleteObjectVersion" in granted) == (versioning != "off")
    # What is denied to all but the collector is just what the collector writes of its own.
    written = [asked for asked in proxy.asked if is_writing(asked) and not is_batch_deletion(asked)]
    own = [f"{here.root.removeprefix('s3:/')}/.xcomctl/" in asked.path for asked in written]
    assert [denied(records_policy([root], [COLLECTOR]), asked) for asked in written] == own
    assert True in own
    here.client.abort_multipart_upload(**begun, UploadId=upload_id)
