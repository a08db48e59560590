"""`xcomctl log` as people and programs run it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest

from tests.services.command import Command
from xcomctl.errors import StoreError
from xcomctl.models import Root
from xcomctl.s3.store import S3Settings, S3Store
from xcomctl.state.journal import Invocation, Journal

AT = datetime(2026, 11, 22, 14, 28, 31, tzinfo=timezone.utc)
SECRET = "a value that no log may show"  # noqa: S105 - the value of a row
IDS = [f"2026112{day}T142831Z-1a2b3c4d" for day in (2, 3, 4)]


class Past:
    """A root on which three operations were done: one done, one failed, one cut off."""

    def __init__(self, bucket: str) -> None:
        self.root = Root(bucket, "xcom/")
        self.options = ("--store", self.root.uri)
        self.store = S3Store(S3Settings())
        done, failed, killed = (self._begin(days, name) for days, name in enumerate(("gc", "rm", "gc")))
        first = done.intent("delete_rows", [{"row_key": str(n), "value": SECRET} for n in range(3)])
        done.outcome(first, [{"result": "deleted"}, {"result": "changed"}, {"result": "deleted"}])
        second = done.intent("discard_objects", [{"uri": f"{self.root.uri}/a"}])
        done.outcome(second, [{"result": "trashed"}])
        done.end({"rows": 2, "objects": 1, "bytes": 2048, "failed": 0})
        failed.end({"rows": 0, "objects": 0, "bytes": 0, "failed": 0}, StoreError("the store is gone"))
        killed.intent("delete_rows", [{"row_key": "9", "value": SECRET}])

    def _begin(self, days: int, command: str) -> Journal:
        return Journal.begin(
            self.store,
            self.root,
            operation_id=IDS[days],
            invocation=Invocation(command, "kim@host", AT + timedelta(days=days), "0123456789abcdef"),
            roots=[self.root],
            database="a1b2",
        )


@pytest.fixture
def past(seaweed_bucket: str) -> Iterator[Past]:
    """Three operations on a root."""
    made = Past(seaweed_bucket)
    with closing(made.store):
        yield made


def test_operations_as_json(xcomctl: Command, past: Past) -> None:
    """A list, newest first, with what a program needs; what is not known of an unfinished one is null."""
    done = xcomctl("log", *past.options, "-o", "json")
    listed = json.loads(done.stdout)
    assert (done.code, done.stderr) == (0, "")
    assert [record["id"] for record in listed] == IDS[::-1]
    assert [(r["command"], r["state"], r["error"]) for r in listed] == [
        ("gc", "unfinished", None),
        ("rm", "failed", "the store is gone"),
        ("gc", "done", None),
    ]
    assert [(r["rows"], r["objects"], r["bytes"]) for r in listed] == [
        (None, None, None),
        (0, 0, 0),
        (2, 1, 2048),
    ]
    assert (listed[2]["started_at"], listed[2]["actor"]) == ("2026-11-22T14:28:31Z", "kim@host")
    assert (listed[0]["ended_at"], listed[2]["roots"]) == (None, [past.root.uri])


def test_operations_for_people(xcomctl: Command, past: Past) -> None:
    """A table with the ids whole, as `undo` takes them; as many as are wanted."""
    done = xcomctl("log", *past.options, "--limit", "2")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["ID", "STARTED", "COMMAND", "ACTOR", "STATE", "ROWS", "OBJECTS", "SIZE"]
    assert [line.split()[0] for line in lines] == IDS[:0:-1]
    assert xcomctl("log", *past.options, "--template", "{id} {state}").stdout.splitlines()[2] == (
        f"{IDS[0]} done"
    )


def test_the_steps_of_an_operation(xcomctl: Command, past: Past) -> None:
    """With an id, each step with counts and never with a value; an unknown outcome says so."""
    table = xcomctl("log", *past.options, IDS[0])
    document = json.loads(xcomctl("log", *past.options, IDS[0], "-o", "json").stdout)
    unknown = xcomctl("log", *past.options, IDS[2])
    assert [line.split(maxsplit=3) for line in table.stdout.splitlines()] == [
        ["STEP", "KIND", "INTENDED", "RESULTS"],
        ["1", "delete_rows", "3", "1 changed, 2 deleted"],
        ["2", "discard_objects", "1", "1 trashed"],
    ]
    assert (document["schema"], document["id"], document["state"]) == ("xcomctl.log/1", IDS[0], "done")
    assert document["steps"] == [
        {"step": 1, "kind": "delete_rows", "intended": 3, "results": {"changed": 1, "deleted": 2}},
        {"step": 2, "kind": "discard_objects", "intended": 1, "results": {"trashed": 1}},
    ]
    assert unknown.stdout.splitlines()[1].split() == ["1", "delete_rows", "1", "unknown"]
    assert SECRET not in table.stdout + json.dumps(document) + unknown.stdout


def test_a_damaged_journal_does_not_hide_the_others(xcomctl: Command, past: Past) -> None:
    """It is named on stderr, the others are shown, and the exit code is 3."""
    began = past.root.at(f".xcomctl/journal/{IDS[1]}/began.json")
    past.store.put(began, b"{}")
    done = xcomctl("log", *past.options, "-o", "json")
    assert (done.code, [record["id"] for record in json.loads(done.stdout)]) == (3, [IDS[2], IDS[0]])
    assert done.stderr.splitlines()[:2] == [
        f"note: {began.uri} is damaged: it is not what xcomctl wrote there",
        "error: operations that could not be read: 1",
    ]


def test_what_is_not_there(xcomctl: Command, past: Past, seaweed_bucket: str) -> None:
    """An unknown id and a missing store are errors that say what to type; a root without a past is no error."""
    unknown = xcomctl("log", *past.options, "20261122T142831Z-00000000")
    nowhere = xcomctl("log")
    empty = xcomctl("log", "--store", f"s3://{seaweed_bucket}/elsewhere", "-o", "json")
    assert (unknown.code, unknown.stderr) == (
        1,
        "error: there is no operation '20261122T142831Z-00000000'\nhint: xcomctl log shows what there is\n",
    )
    assert (nowhere.code, nowhere.stderr) == (
        2,
        "error: no store is configured\nhint: add --store s3://BUCKET/PREFIX\n",
    )
    assert (empty.code, json.loads(empty.stdout), empty.stderr) == (0, [], "")
