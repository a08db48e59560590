"""Deleting a hundred thousand objects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.bucket import NAME, PREFIX, even
from benchmarks.canned import serving
from benchmarks.comparison import OURS, Case, Wanted
from benchmarks.parts.listing import OBJECTS
from benchmarks.setting import Setting

_DELETED = 100_000
_ASKING = "xcomctl, each asked for before"


def cases(setting: Setting) -> Iterator[Case]:
    """One case. The tool asks for each object again before it deletes it; that is measured on its own."""
    bucket = setting.bucket("even", even(setting.scaled(OBJECTS, 1000)))
    count = setting.scaled(_DELETED, 500)
    methods = {
        OURS: "ours",
        _ASKING: "ours-asking",
        "boto3 one by one": "one-by-one",
        "delete_objects": "batches",
    }
    with ExitStack() as servers:
        # A bucket for each: what is gone cannot be deleted again.
        endpoints = {name: servers.enter_context(serving(bucket.folder)) for name in methods}
        yield Case(
            f"delete {count:,} objects",
            tuple(
                setting.script(
                    name, "delete_objects.py", method, NAME, PREFIX, count, env=endpoints[name].environment()
                )
                for name, method in methods.items()
            ),
            (Wanted("cpu", "boto3 one by one", 50), Wanted("wall", "delete_objects", 1)),
            rounds=1,
        )
