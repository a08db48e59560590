"""Rows that are restored to another store: their references must say so, and only some can be made to."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from xcomctl.airflow.interface import RowRecord
from xcomctl.errors import UsageError
from xcomctl.models import ObjectAddress, Root, digest_of


def target_of(uri: str, roots: Sequence[Root], target: Root) -> ObjectAddress | None:
    """Where an object goes: to the same place below `target` as it had below one of `roots`. None if below none."""
    address = ObjectAddress.parse(uri)
    for root in roots:
        if root.contains(address):
            return target.at(address.key.removeprefix(root.prefix))
    return None


def moved(record: RowRecord, uris: Sequence[str], roots: Sequence[Root], target: Root) -> RowRecord | None:
    """The row with its reference rewritten; None where that cannot be done for sure.

    It can where the whole value is one URI, or one reference of xcomctl's own backend. `uris` are the objects of the
    row that are in the backup.
    """
    if not uris:
        return record
    if len(uris) > 1:
        return None
    to = target_of(uris[0], roots, target)
    if to is None:
        return None
    try:
        value = json.loads(record.raw or b"null")
    except (ValueError, RecursionError):
        return None
    rewritten: Any = None
    if isinstance(value, str):
        rewritten = _rewritten(value, uris[0], to)
    elif isinstance(value, dict) and value.get("__xcomctl__") == 1 and isinstance(value.get("uri"), str):
        uri = _rewritten(value["uri"], uris[0], to)
        rewritten = None if uri is None else {**value, "uri": uri}
    if rewritten is None:
        return None
    columns = _with_text(record, json.dumps(rewritten))
    changed = replace(record, columns=columns)
    return replace(changed, digest=digest_of(changed.raw))


def _rewritten(text: str, uri: str, to: ObjectAddress) -> str | None:
    """The URI for the new place, with the scheme and the connection id that it had."""
    try:
        if ObjectAddress.parse(text).uri != uri:
            return None
    except UsageError:
        return None
    scheme, _, rest = text.partition("://")
    connection, at, _ = rest.partition("/")[0].rpartition("@")
    return f"{scheme}://{connection}{at}{to.bucket}/{to.key}"


def _with_text(record: RowRecord, text: str) -> dict[str, Any]:
    """The columns of a record with another text in the place of its value, encoded as the value was."""
    match record.columns.get("value"):
        case {"$bytes": str()}:
            value: Any = {"$bytes": base64.b64encode(text.encode()).decode("ascii")}
        case {"$json": str()}:
            value = {"$json": text}
        case _:
            value = text
    return {**record.columns, "value": value}
