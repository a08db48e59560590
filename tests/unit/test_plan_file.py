from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.services.plans import plan_of, plan_of_kinds
from xcomctl.errors import RefusedError, UsageError
from xcomctl.gc.plan import Guard, Plan
from xcomctl.gc.plan_file import load, save

ROW = {
    "action": "delete_row",
    "uri": "s3://b/x/é/'\n😀",
    "dag_id": "etl",
    "map_index": -1,
    "size": 12,
    "reason": "expired: 41.2d > 30d",
    "source_table": "xcom",
    "row_key": '["1", "load"]',
    "written_at": datetime(2026, 10, 1, 6, 0, 0, 123456),
    "digest": "null",
}
OBJECT = {
    "action": "delete_object",
    "bucket": "b",
    "object_key": "x/%2B+ //",
    "etag": "0" * 32,
    "size": 5 << 40,
    "last_modified": datetime(2026, 10, 1, 6),
    "reusable": False,
}
GUARDS = (
    Guard("owner", False, "0123456789abcdef", "fedcba9876543210", "another one's"),
    Guard("cross_match", True, 1.0, 0.1, ""),
)


def same(one: Plan, other: Plan) -> bool:
    """Whether two plans are equal, actions included."""
    return (
        one.plan_id == other.plan_id
        and one.header() == other.header()
        and one.guards == other.guards
        and one.created_at == other.created_at
        and list(one.actions.records()) == list(other.actions.records())
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A saved plan with a row and an object."""
    path = tmp_path / "plan.xcp"
    save(plan_of(ROW, OBJECT, guards=GUARDS), path)
    return path


def test_what_was_saved_is_what_is_read(saved: Path, tmp_path: Path) -> None:
    """Every column, guards with their causes, times to the microsecond; nothing else is left in the folder."""
    assert same(load(saved), plan_of(ROW, OBJECT, guards=GUARDS))
    assert [path.name for path in tmp_path.iterdir()] == ["plan.xcp"]


@pytest.mark.parametrize("number", [0, 1, 5_000, 5_001])
def test_plans_of_any_length_are_read_whole(tmp_path: Path, number: int) -> None:
    """Also empty ones, and those that end where a batch ends."""
    made = plan_of_kinds(*["delete_row"] * number)
    save(made, tmp_path / "plan.xcp")
    assert same(load(tmp_path / "plan.xcp"), made)


def test_it_is_lines_of_json_in_gzip(saved: Path) -> None:
    """A head, an action a line, a foot with the checksum of what is before it; the same plan gives the same bytes."""
    lines = gzip.decompress(saved.read_bytes()).splitlines(keepends=True)
    head, row, _, foot = [json.loads(line) for line in lines]
    assert (head["schema"], head["actions"], row["reason"]) == ("xcomctl.plan-file/2", 2, ROW["reason"])
    assert foot == {"actions": 2, "sha256": hashlib.sha256(b"".join(lines[:-1])).hexdigest()}
    before = saved.read_bytes()
    save(plan_of(ROW, OBJECT, guards=GUARDS), saved)
    assert saved.read_bytes() == before


def _lines(edit: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    """Change the lines of a plan file, and leave its checksum as it is."""
    return lambda packed: gzip.compress(b"".join(edit(gzip.decompress(packed).splitlines(keepends=True))))


def _resealed(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Change the text, and make the checksum fit again."""

    def edit(packed: bytes) -> bytes:
        body = b"".join(gzip.decompress(packed).splitlines(keepends=True)[:-1])
        assert old in body
        body = body.replace(old, new)
        foot = {"actions": 2, "sha256": hashlib.sha256(body).hexdigest()}
        return gzip.compress(body + json.dumps(foot).encode() + b"\n")

    return edit


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "an action is edited": _lines(lambda lines: [lines[0], lines[1].replace(b"etl", b"elt"), *lines[2:]]),
    "an action is missing": _lines(lambda lines: [lines[0], *lines[2:]]),
    "an action is added": _lines(lambda lines: [*lines[:2], *lines[1:]]),
    "actions are swapped": _lines(lambda lines: [lines[0], lines[2], lines[1], lines[3]]),
    "no foot": _lines(lambda lines: lines[:-1]),
    "a guard is edited": _lines(lambda lines: [lines[0].replace(b"false", b"true"), *lines[1:]]),
    "something follows": _lines(lambda lines: [*lines, b"{}\n"]),
    "no actions": _lines(lambda lines: [lines[0], lines[-1]]),
    "an action of another shape": _resealed(b'"digest"', b'"digits"'),
    "an unknown action": _resealed(b'"delete_row"', b'"drop_table"'),
    "a size that is none": _resealed(b'"size": 12', b'"size": "all"'),
    "a time that is none": _resealed(b'"2026-10-01T06:00:00"', b'"yesterday"'),
    "another id": _resealed(b'"plan_id": "', b'"plan_id": "0'),
    "totals that are none": _resealed(b'{"rows_scanned": 3}', b'["rows_scanned"]'),
    "a number of actions that is none": _resealed(b'"actions": 2', b'"actions": "many"'),
    "cut off": lambda packed: packed[:-10],
    "cut in the middle": lambda packed: packed[: len(packed) // 2],
    "a flipped byte": lambda packed: packed[:-20] + bytes([packed[-20] ^ 1]) + packed[-19:],
    "garbage behind it": lambda packed: packed + b"garbage",
    "another plan behind it": lambda packed: packed + packed,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_plan_that_is_not_as_it_was_written_is_refused(saved: Path, damage: str) -> None:
    """Whatever was done to it, exit 5 and how to make a new one; also where the checksum was made to fit."""
    saved.write_bytes(DAMAGES[damage](saved.read_bytes()))
    with pytest.raises(RefusedError, match="is not as it was written") as refused:
        load(saved)
    assert refused.value.hint == "make a new plan: xcomctl plan --out FILE"


def test_a_plan_of_another_version_is_refused(saved: Path) -> None:
    """It says which one."""
    saved.write_bytes(_resealed(b"xcomctl.plan-file/2", b"xcomctl.plan-file/3")(saved.read_bytes()))
    with pytest.raises(RefusedError, match=r"xcomctl\.plan-file/3"):
        load(saved)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"{}",
        gzip.compress(b""),
        gzip.compress(b'{"schema": "xcomctl.plan/1"}'),
        gzip.compress(b"[]\n"),
    ],
    ids=["empty", "zip", "json", "empty gzip", "document", "list"],
)
def test_a_file_that_is_no_plan_is_a_usage_error(tmp_path: Path, content: bytes) -> None:
    """Whoever gives the wrong file has made no plan that could be stale."""
    path = tmp_path / "plan.xcp"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"is not a plan of xcomctl"):
        load(path)


def test_what_cannot_be_read_or_written_is_a_usage_error(tmp_path: Path) -> None:
    """A missing file, a folder, a folder that does not exist."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            load(path)
    for path in (tmp_path / "none" / "plan.xcp", tmp_path):
        with pytest.raises(UsageError, match="cannot be written"):
            save(plan_of(), path)
