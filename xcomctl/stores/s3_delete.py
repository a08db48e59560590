"""Deleting objects of an S3 store: only what is still as it was judged, and an outcome for every single one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from xcomctl.errors import XcomctlError
from xcomctl.models import ObjectAddress
from xcomctl.stores.interface import DeleteOutcome, ObjectInfo, StoreErrorInfo
from xcomctl.stores.s3_errors import ABSENT_CODES, TRANSIENT_CODES, Request, code_of, status_of, translating

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

_BATCH_KEYS = 1000
_ATTEMPTS = 4
_PAUSE_SECONDS = 0.3

_UNCONDITIONAL_CODES = frozenset({"NotImplemented", "MalformedXML", "InvalidRequest", "InvalidArgument"})
"""What a store says to a whole request when it does not know conditions on its keys."""

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


class Deleter:
    """Deletes objects of one bucket, in batches. `conditional` becomes False once the store refused conditions."""

    def __init__(self, client: S3Client, request: Request) -> None:
        self._client = client
        self._request = request
        # Older releases of boto3 do not know the condition and would refuse to send it.
        members = client.meta.service_model.shape_for("ObjectIdentifier").members  # type: ignore[attr-defined]
        self.conditional = "ETag" in members

    def delete(self, objects: Sequence[ObjectInfo]) -> dict[ObjectAddress, DeleteOutcome]:
        """Delete the objects, each on the condition that its ETag is still the same. Never raises: see the outcomes."""
        outcomes: dict[ObjectAddress, DeleteOutcome] = {}
        in_batches = []
        for item in objects:
            if _NOT_IN_XML.search(item.address.key):
                outcomes[item.address] = self._delete_alone(item)
            else:
                in_batches.append(item)
        for batch in _chunks(in_batches):
            outcomes.update(self._delete_batch(batch))
        return outcomes

    def _delete_batch(self, batch: Sequence[ObjectInfo]) -> dict[ObjectAddress, DeleteOutcome]:
        outcomes: dict[ObjectAddress, DeleteOutcome] = {}
        pending = {item.address.key: item for item in batch}
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_SECONDS * 2**attempt)
            try:
                answers = self._ask(list(pending.values()))
            except XcomctlError as error:
                answers = {
                    key: DeleteOutcome(item.address, "failed", str(error)) for key, item in pending.items()
                }
                outcomes.update({outcome.address: outcome for outcome in answers.values()})
                break
            outcomes.update({outcome.address: outcome for outcome in answers.values()})
            pending = {
                key: item
                for key, item in pending.items()
                if answers[key].result == "failed"
                and (answers[key].cause or "").split(":")[0] in TRANSIENT_CODES
            }
            if not pending:
                break
        return outcomes

    def _ask(self, items: Sequence[ObjectInfo]) -> dict[str, DeleteOutcome]:
        """One request for all `items`: key -> outcome of each. Raises StoreError if the request as a whole failed."""
        identifiers: list[ObjectIdentifierTypeDef] = [{"Key": item.address.key} for item in items]
        if self.conditional:
            for identifier, item in zip(identifiers, items, strict=True):
                identifier["ETag"] = f'"{item.etag}"'
        with translating(self._request):
            try:
                answer = self._client.delete_objects(
                    Bucket=self._request.bucket, Delete={"Objects": identifiers}
                )
            except ClientError as error:
                if not (
                    self.conditional and (code_of(error) in _UNCONDITIONAL_CODES or status_of(error) == 501)
                ):
                    raise
                self.conditional = False
                answer = self._client.delete_objects(
                    Bucket=self._request.bucket,
                    Delete={"Objects": [{"Key": item.address.key} for item in items]},
                )
        deleted = {item.get("Key") for item in answer.get("Deleted", [])}
        errors = {item.get("Key"): item for item in answer.get("Errors", [])}
        outcomes = {}
        for item in items:
            key = item.address.key
            if key in errors:
                code, message = errors[key].get("Code", ""), errors[key].get("Message", "")
                outcomes[key] = _outcome_of(item.address, code, message)
            elif key in deleted:
                outcomes[key] = DeleteOutcome(item.address, "deleted")
            else:
                outcomes[key] = DeleteOutcome(item.address, "failed", "the store did not confirm it")
        return outcomes

    def _delete_alone(self, item: ObjectInfo) -> DeleteOutcome:
        request = replace(self._request, key=item.address.key)
        bucket, key = item.address.bucket, item.address.key
        try:
            with translating(request):
                try:
                    if self.conditional:
                        self._client.delete_object(Bucket=bucket, Key=key, IfMatch=f'"{item.etag}"')
                    else:
                        self._client.delete_object(Bucket=bucket, Key=key)
                except ClientError as error:
                    outcome = _outcome_of(item.address, code_of(error), "")
                    if outcome.result == "failed":
                        raise
                    return outcome
        except XcomctlError as error:
            return DeleteOutcome(item.address, "failed", str(error))
        return DeleteOutcome(item.address, "deleted")


def _outcome_of(address: ObjectAddress, code: str, message: str) -> DeleteOutcome:
    if code in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
        return DeleteOutcome(address, "changed", code)
    if code in ABSENT_CODES:
        return DeleteOutcome(address, "gone")
    return DeleteOutcome(address, "failed", f"{code}: {message}" if message else code)


def _chunks(items: Sequence[ObjectInfo]) -> Iterator[list[ObjectInfo]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, _BATCH_KEYS)):
        yield chunk
