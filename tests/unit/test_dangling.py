"""Which rows are asked for whose object was not listed, and which are settled by the listing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from tests.services.scripted_store import Answer, Asked, scripted_store
from tests.unit.test_inventory import NOW, ROOT, TWO, objects, row, rows
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.inventory import Inventory, dangling
from xcomctl.inventory.dangling import confirm_dangling
from xcomctl.s3.store import S3Settings, S3Store

GONE = [f"prod/etl/r1/load/{number:08x}-2222-4222-8222-222222222222" for number in range(20)]
LISTED = f"prod/etl/r1/load/{TWO}"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(dangling, "_SAMPLE", 5)


def absent(_: str) -> int:
    """The status of every object: not there."""
    return 404


def found_by(
    status: Callable[[str], int], *given: dict[str, Any], listed_at: datetime | None = NOW
) -> tuple[set[str], set[str], set[str]]:
    """Keys of dangling rows, of unreachable ones, and those that were asked for."""
    asked: set[str] = set()

    def script(request: Asked) -> Answer:
        key = unquote(request.path).removeprefix("/xcoms").removeprefix("/")
        if not key:
            return Answer()
        asked.add(key)
        headers = (("ETag", '"e"'), ("Last-Modified", "Sun, 01 Nov 2026 00:00:00 GMT"))
        return Answer(status=status(key), headers=headers)

    with (
        Inventory(DialectRegistry(), [ROOT]) as inventory,
        scripted_store(script) as server,
        closing(S3Store(S3Settings(server.endpoint_url))) as store,
    ):
        inventory.add_objects(ROOT, [objects(LISTED)])
        inventory.add_rows([rows(row(f"s3://xcoms/{LISTED}"), *given)])
        confirm_dangling(inventory, store, DialectRegistry(), listed_at=listed_at)
        dangling_rows = inventory.run("SELECT key FROM dangling_rows")
        unreachable = inventory.run("SELECT key FROM unreachable_rows")
    return {key for (key,) in dangling_rows}, {key for (key,) in unreachable}, asked


def references(*keys: str, **changes: Any) -> list[dict[str, Any]]:
    """A row for each object."""
    return [row(f"s3://xcoms/{key}", **changes) for key in keys]


def test_all_are_asked_for_unless_a_listing_settles_them() -> None:
    """Without the time of a listing each one is asked for; with it, a sample."""
    everything = found_by(absent, *references(*GONE), listed_at=None)
    settled = found_by(absent, *references(*GONE))
    assert everything == (set(GONE), set(), set(GONE))
    assert (*settled[:2], len(settled[2])) == (set(GONE), set(), 5)
    assert settled[2] < set(GONE)


def test_what_may_have_come_since_is_asked_for() -> None:
    """A row that is not older than the listing by an hour, or whose run is not over."""
    changes: list[dict[str, Any]] = [
        {"written_at": None},
        {"written_at": NOW - timedelta(minutes=59)},
        {"written_at": NOW + timedelta(minutes=1)},
        {"run_state": "running"},
        {"run_state": None},
    ]
    given = [
        one for number, change in enumerate(changes) for one in references(GONE[number], **change)
    ] + references(*GONE[5:])
    gone, unreachable, asked = found_by(absent, *given)
    assert (gone, unreachable, len(asked)) == (set(GONE), set(), 5 + 5)
    assert set(GONE[:5]) < asked


def test_what_may_be_listed_under_another_name_is_asked_for() -> None:
    """Where a store may write a key otherwise than the row does, its listing settles nothing."""
    names = ["a//b", "a/./b", "a/../b", "é", "a b", "a%2Fb", "a\tb", "a\\b"]
    odd = {f"prod/{name}/r1/load/{TWO}" for name in names}
    gone, unreachable, asked = found_by(absent, *references(*odd, *GONE))
    assert (gone | unreachable, len(asked)) == (odd | set(GONE), len(odd) + 5)
    assert odd < asked


@pytest.mark.parametrize(("status", "kind"), [(200, "there"), (403, "unreachable")])
def test_a_listing_that_is_wrong_once_settles_nothing(status: int, kind: str) -> None:
    """Where one of the sample is there after all, or cannot be asked for, all are asked for."""
    sampled = found_by(absent, *references(*GONE))[2]
    odd = min(sampled)
    gone, unreachable, asked = found_by(lambda key: status if key == odd else 404, *references(*GONE))
    assert (gone, asked) == (set(GONE) - {odd}, set(GONE))
    assert unreachable == ({odd} if kind == "unreachable" else set())
