"""Deleting objects of an S3 store: only what is still as it was judged, and an outcome for every single one."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from xcomctl.errors import XcomctlError
from xcomctl.models import ObjectAddress
from xcomctl.s3.errors import ABSENT_CODES, TRANSIENT_CODES, Request, code_of, knows_not, translate_s3_errors
from xcomctl.s3.interface import Capabilities, DeleteOutcome, ObjectInfo, ObjectVersion, StoreErrorInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        DeletedObjectTypeDef,
        DeleteObjectsOutputTypeDef,
        ObjectIdentifierTypeDef,
    )

_BATCH_KEYS = 1000
_THREADS = 16
_ATTEMPTS = 4
_PAUSE_SECONDS = 0.3

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that a key may have and the XML of a batch cannot carry; one of them spoils the whole batch."""


def as_judged(wanted: ObjectInfo, found: ObjectInfo | StoreErrorInfo | None) -> DeleteOutcome | None:
    """Why an object is not to be deleted, by what the store says of it now; None if it is still as described.

    Times are compared to the second, which is all that a HEAD tells; some products list fractions.
    """
    if found is None:
        return DeleteOutcome(wanted.address, "gone")
    if isinstance(found, StoreErrorInfo):
        return DeleteOutcome(wanted.address, "failed", found.cause)
    same = (
        found.etag == wanted.etag
        and found.size == wanted.size
        and found.last_modified.replace(microsecond=0) == wanted.last_modified.replace(microsecond=0)
    )
    return None if same else DeleteOutcome(wanted.address, "changed")


def add_content_md5(params: dict[str, Any], **_: object) -> None:
    """Add the checksum that some products demand of a batch to the newer one that botocore sends; a hook of it."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class _Target:
    """What one deletion names: an object as long as it has this etag, or one version for good."""

    address: ObjectAddress
    etag: str | None = None
    version_id: str | None = None

    @property
    def name(self) -> tuple[str, str | None]:
        """What the store's answer calls it by."""
        return self.address.key, self.version_id


class Deleter:
    """Deletes objects and versions of one bucket, each with its own outcome; it never raises what the store says.

    `capabilities` are those that are known of the bucket already, None if it was not probed.
    """

    def __init__(self, client: S3Client, request: Request, capabilities: Capabilities | None = None) -> None:
        self._client = client
        self._request = request
        # Until the store says that it does not know them.
        self._conditional_batch = True
        self._conditional_single = True
        # A store that looks at the condition of a single deletion only is given single ones.
        self._one_by_one = (
            capabilities is not None
            and capabilities.conditional_delete
            and not capabilities.conditional_batch
        )

    def delete(self, objects: Sequence[ObjectInfo]) -> dict[ObjectAddress, DeleteOutcome]:
        """Delete the objects, each on the condition that its ETag is still the same."""
        targets = [_Target(item.address, etag=item.etag) for item in objects]
        return {outcome.address: outcome for outcome in self._delete(targets, one_by_one=self._one_by_one)}

    def delete_versions(self, versions: Sequence[ObjectVersion]) -> list[DeleteOutcome]:
        """Remove these versions and markers for good, one outcome each, in order."""
        targets = [_Target(version.address, version_id=version.version_id) for version in versions]
        return self._delete(targets, one_by_one=False)

    def _delete(self, targets: Sequence[_Target], *, one_by_one: bool) -> list[DeleteOutcome]:
        alone = [target for target in targets if one_by_one or _NOT_IN_XML.search(target.address.key)]
        outcomes: dict[_Target, DeleteOutcome] = {}
        if alone:
            with ThreadPoolExecutor(min(_THREADS, len(alone))) as threads:
                outcomes.update(zip(alone, threads.map(self._delete_alone, alone), strict=True))
        in_batches = list(dict.fromkeys(target for target in targets if target not in outcomes))
        for batch in _chunks(in_batches):
            outcomes.update(self._delete_batch(batch))
        return [outcomes[target] for target in targets]

    def _delete_batch(self, batch: Sequence[_Target]) -> dict[_Target, DeleteOutcome]:
        outcomes: dict[_Target, DeleteOutcome] = {}
        pending = list(batch)
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_SECONDS * 2**attempt)
            try:
                outcomes.update(self._ask(pending))
            except XcomctlError as error:
                outcomes.update(
                    {target: DeleteOutcome(target.address, "failed", str(error)) for target in pending}
                )
                break
            pending = [target for target in pending if _may_succeed_later(outcomes[target])]
            if not pending:
                break
        return outcomes

    def _ask(self, targets: Sequence[_Target]) -> dict[_Target, DeleteOutcome]:
        """One request for all `targets`. Raises StoreError if the request as a whole failed."""
        with translate_s3_errors(self._request):
            try:
                answer = self._request_batch(targets)
            except ClientError as error:
                if not (self._conditional_batch and knows_not(error)):
                    raise
                self._conditional_batch = False
                answer = self._request_batch(targets)
        of_versions = targets[0].version_id is not None
        deleted = {_name_of(item, of_versions): item for item in answer.get("Deleted", [])}
        errors = {
            (item.get("Key"), item.get("VersionId") if of_versions else None): item
            for item in answer.get("Errors", [])
        }
        outcomes = {}
        for target in targets:
            if target.name in errors:
                said = errors[target.name]
                outcome = _outcome_of(target.address, said.get("Code", ""), said.get("Message", ""))
            elif target.name in deleted:
                marker = None if of_versions else deleted[target.name].get("DeleteMarkerVersionId")
                outcome = DeleteOutcome(target.address, "deleted", marker_id=marker)
            else:
                outcome = DeleteOutcome(target.address, "failed", "the store did not confirm it")
            outcomes[target] = outcome
        return outcomes

    def _request_batch(self, targets: Sequence[_Target]) -> DeleteObjectsOutputTypeDef:
        identifiers: list[ObjectIdentifierTypeDef] = []
        for target in targets:
            identifier: ObjectIdentifierTypeDef = {"Key": target.address.key}
            if target.version_id is not None:
                identifier["VersionId"] = target.version_id
            if target.etag is not None and self._conditional_batch:
                identifier["ETag"] = f'"{target.etag}"'
            identifiers.append(identifier)
        return self._client.delete_objects(Bucket=self._request.bucket, Delete={"Objects": identifiers})

    def _delete_alone(self, target: _Target) -> DeleteOutcome:
        request = replace(self._request, key=target.address.key)
        named: dict[str, Any] = {"Bucket": target.address.bucket, "Key": target.address.key}
        if target.version_id is not None:
            named["VersionId"] = target.version_id
        condition: dict[str, Any] = (
            {"IfMatch": f'"{target.etag}"'} if target.etag is not None and self._conditional_single else {}
        )
        try:
            with translate_s3_errors(request):
                try:
                    answer = self._client.delete_object(**named, **condition)
                except ClientError as error:
                    if condition and knows_not(error):
                        self._conditional_single = False
                        answer = self._client.delete_object(**named)
                    else:
                        outcome = _outcome_of(target.address, code_of(error), "")
                        if outcome.result == "failed":
                            raise
                        return outcome
        except XcomctlError as error:
            return DeleteOutcome(target.address, "failed", str(error))
        hidden = target.version_id is None and answer.get("DeleteMarker", False)
        return DeleteOutcome(target.address, "deleted", marker_id=answer.get("VersionId") if hidden else None)


def _name_of(item: DeletedObjectTypeDef, of_versions: bool) -> tuple[str | None, str | None]:
    if not of_versions:
        return item.get("Key"), None
    # Of a marker that was removed, some products tell the id in this field alone.
    return item.get("Key"), item.get("VersionId") or item.get("DeleteMarkerVersionId")


def _may_succeed_later(outcome: DeleteOutcome) -> bool:
    return outcome.result == "failed" and (outcome.cause or "").split(":")[0] in TRANSIENT_CODES


def _outcome_of(address: ObjectAddress, code: str, message: str) -> DeleteOutcome:
    if code in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
        return DeleteOutcome(address, "changed", code)
    if code in ABSENT_CODES or code == "NoSuchVersion":
        return DeleteOutcome(address, "gone")
    return DeleteOutcome(address, "failed", f"{code}: {message}" if message else code)


def _chunks(targets: Sequence[_Target]) -> Iterator[list[_Target]]:
    remaining = iter(targets)
    while chunk := list(islice(remaining, _BATCH_KEYS)):
        yield chunk
