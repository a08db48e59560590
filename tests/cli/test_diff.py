from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.services.command import Command
from tests.services.object_stores import MotoServer, point_to
from tests.services.worlds import World

Worlds = Callable[..., World]


def test_two_objects(xcomctl: Command, moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two objects are compared without a database; a difference exits with 4, none with 0."""
    point_to(monkeypatch, moto_server)
    moto_server.create_bucket("sides")
    with closing(moto_server.client()) as client:
        client.put_object(Bucket="sides", Key="a.csv", Body=b"id,v\n1,2\n2,3\n")
        client.put_object(Bucket="sides", Key="b.csv", Body=b"id,v\n2,3\n1,5\n")
    result = xcomctl("diff", "s3://sides/a.csv", "s3://sides/b.csv", "--on", "id")
    assert (result.code, result.stderr) == (4, "")
    assert result.stdout.splitlines() == [
        "--- s3://sides/a.csv (2 rows)",
        "+++ s3://sides/b.csv (2 rows)",
        "rows   1 changed",
        "cells  1 changed: v 1",
        "",
        "~ .[id=1].v: 2 -> 5",
    ]
    result = xcomctl("diff", "s3://sides/a.csv", "s3://sides/a.csv", "-o", "json")
    assert (result.code, json.loads(result.stdout)["same"]) == (0, True)
    result = xcomctl("diff", "s3://sides/a.csv")
    assert result.stderr.splitlines() == [
        "error: an object alone has no run before it",
        "hint: name two XComs: xcomctl diff OLD NEW",
    ]


def test_the_run_before(xcomctl: Command, world: Worlds) -> None:
    """With one XCom, or with --run, the same one of another run is the old side; inline values need no store."""
    here = world("3.3.2-commonio-sqlite", store=False)
    database = ("--db", here.db_url)
    result = xcomctl("diff", "xt_types/latest/push_int", *database)
    assert (result.code, result.stdout.splitlines()) == (
        0,
        [
            "--- xt_types/types_run_1/push_int:return_value",
            "+++ xt_types/types_run_2/push_int:return_value",
            "no difference",
        ],
    )
    result = xcomctl("diff", "xt_types/types_run_1/push_int", "--run", "types_run_2", "-o", "json", *database)
    document = json.loads(result.stdout)
    assert [document[side]["ref"] for side in ("old", "new")] == [
        "xt_types/types_run_2/push_int:return_value",
        "xt_types/types_run_1/push_int:return_value",
    ]
    result = xcomctl("diff", "xt_types/types_run_1/push_int", *database)
    assert (result.code, result.stderr.splitlines()[0]) == (
        1,
        "error: no earlier run has xt_types/types_run_1/push_int:return_value",
    )


@pytest.mark.parametrize(
    "arguments",
    [("a/b/c", "d/e/f", "--run", "g"), ("a/b/c", "--limit", "-1"), ()],
    ids=["sides", "limit", "none"],
)
def test_usage_errors(xcomctl: Command, arguments: tuple[str, ...]) -> None:
    """A wrong command line ends with 2, a cause and a hint."""
    result = xcomctl("diff", *arguments)
    assert (result.code, result.stdout) == (2, "")
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["error", "hint"]
