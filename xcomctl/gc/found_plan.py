"""A plan that comes from a file: its checksum tells accidents, not enemies, so what it says is checked as data.

What xcomctl plans is below the roots, outside of its own folder and claimed by a dialect. A file that names anything else
was not written by it, or for other settings: then the whole of it is refused, since what else it says is no better.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from xcomctl.dialects.interface import Dialects
from xcomctl.dialects.reach import Reach
from xcomctl.errors import RefusedError, UsageError
from xcomctl.gc.plan import Plan
from xcomctl.gc.plan_actions import ActionKind
from xcomctl.models import ObjectAddress, Root, outermost
from xcomctl.state.trash.places import TRASH_FOLDER
from xcomctl.units import parse_duration

_OBJECT_ACTIONS: tuple[ActionKind, ...] = ("restore_object", "delete_object", "purge_object")
_TOUCHING: tuple[ActionKind, ...] = (*_OBJECT_ACTIONS, "abort_upload")

_OF_A_ROW = ("source_table", "row_key", "digest", "size")
_OF_AN_OBJECT = ("uri", "bucket", "object_key", "etag", "size", "last_modified")
"""Columns without which an action cannot be done."""

_OF_AN_UPLOAD = ("uri", "bucket", "object_key", "upload_id", "last_modified")

_ADDRESSES = ("uri", "bucket", "object_key", "trash_key")

_NAMED = 3
"""So many of the objects that do not pass are named."""


def require_own_plan(
    plan: Plan,
    *,
    roots: Sequence[Root],
    tables: Collection[str],
    dialects: Dialects,
    backup_to: str | None = None,
) -> None:
    """Raise RefusedError for a plan from a file that names what this command must not touch; nothing is asked for.

    `roots` are those of this command, `tables` those of its database that hold XComs, `backup_to` is where its own policy
    file wants rows to be copied, None where it does not. The plan's own words on these count only if they are the same.
    """
    stores = _require_scope(plan)
    if stores and not roots:
        named = " ".join(f"--store {root.uri}" for root in outermost(stores))
        raise _refused(
            "no store is given, and the file alone must not say which", f"if they are yours: {named}"
        )
    for one in plan.basis.inside:
        if not any(root.contains(one.at("")) for root in roots):
            raise _refused(
                f"it names {one.at('').uri} as a root inside of its stores, and that is outside", _NEW
            )
    place = plan.scope.get("backup_to")
    if place is not None and place != backup_to:
        raise _refused(
            f"it copies rows and objects to {place}, and only a policy file may say so",
            "add --policy FILE, the policy file that the plan was made with",
        )
    _require_whole(plan)
    _require_rows(plan, tables)
    objections = _objections(plan, Reach(tuple(roots), dialects))
    first = list(islice(objections, _NAMED))
    if first:
        number = len(first) + sum(1 for _ in objections)
        raise _refused(
            f"{number:,} of its actions are about objects that are not this command's to touch: {'; '.join(first)}",
            "make a new plan: xcomctl plan --out FILE, with the stores and the dialects of this command",
        )


def _require_scope(plan: Plan) -> list[Root]:
    """The roots of the scope, once all that is executed of it is of its type."""
    scope = plan.scope
    wanted: dict[str, type | tuple[type, ...]] = {
        "trash_keep": str,
        "ignore_archives": bool,
        "backup_to": (str, type(None)),
        "shard": (str, type(None)),
    }
    try:
        stores = [Root.parse(uri) for uri in scope["roots"]]
        parse_duration(scope["trash_keep"])
        if not all(isinstance(scope.get(name), kind) for name, kind in wanted.items()):
            raise TypeError
    except (KeyError, TypeError, AttributeError, UsageError):
        raise _refused("its scope is none of a collection", _NEW) from None
    if scope.get("active_runs"):
        # Only rm can be told to, and it saves no plan.
        raise _refused("it is one for runs that are not over", "xcomctl rm --dag DAG --run RUN --active")
    return stores


def _require_whole(plan: Plan) -> None:
    wanted: tuple[tuple[tuple[str, ...], tuple[ActionKind, ...]], ...] = (
        (_OF_A_ROW, ("delete_row",)),
        (_OF_AN_OBJECT, (*_OBJECT_ACTIONS, "keep_object")),
        (_OF_AN_UPLOAD, ("abort_upload",)),
    )
    for columns, kinds in wanted:
        for batch in plan.actions.batches(*kinds):
            for name in columns:
                if batch.column(name).null_count:
                    raise _refused(f"an action has no {name}", _NEW)


def _require_rows(plan: Plan, tables: Collection[str]) -> None:
    """Raise RefusedError where a row is none of these tables, or is named by what is no key."""
    import pyarrow.compute as pc

    for batch in plan.actions.batches("delete_row"):
        for table in pc.unique(batch.column("source_table")).to_pylist():
            if table not in tables:
                raise _refused(f"it names rows of {table}, which is no table of XComs here", _NEW)
        if not pc.all(pc.starts_with(batch.column("row_key"), "[")).as_py():
            raise _refused("it names a row by what is no key", _NEW)


def _objections(plan: Plan, reach: Reach) -> Iterator[str]:
    """What speaks against the objects of its actions, with their addresses."""
    import pyarrow.compute as pc

    for batch in plan.actions.batches(*_TOUCHING):
        uris, buckets, keys, trash_keys = (batch.column(name) for name in _ADDRESSES)
        told = pc.equal(uris, pc.binary_join_element_wise("s3://", buckets, "/", keys, ""))
        clear = pc.and_(pc.and_(reach.clear(buckets, keys), told), pc.is_null(trash_keys))
        # What is in the trash, and what nobody plans: few.
        unclear = batch.filter(pc.invert(clear))
        columns: list[list[Any]] = [unclear.column(name).to_pylist() for name in _ADDRESSES]
        for uri, bucket, key, trash_key in zip(*columns, strict=True):
            why = reach.objection(bucket, key)
            if why is None and uri != ObjectAddress(bucket, key).uri:
                why = f"the action is about {bucket}/{key}"
            if why is None and trash_key is not None and not _in_trash(reach.roots, bucket, trash_key):
                why = f"{trash_key} is no place in the trash"
            if why is not None:
                yield f"{uri}: {why}"


def _in_trash(roots: Sequence[Root], bucket: str, key: str) -> bool:
    return any(root.bucket == bucket and key.startswith(root.prefix + TRASH_FOLDER) for root in roots)


_NEW = "make a new plan: xcomctl plan --out FILE"


def _refused(why: str, hint: str) -> RefusedError:
    return RefusedError(f"the plan is refused: {why}; nothing was done", hint=hint)
