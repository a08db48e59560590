from __future__ import annotations

import json
from collections.abc import Callable

from tests.cli.test_app import loaded
from tests.services.command import Command
from tests.services.worlds import World

Worlds = Callable[..., World]


def test_show_of_an_object_loads_neither_database_nor_frames(xcomctl: Command, world: Worlds) -> None:
    """An `s3://` URI of JSON needs the client of the store, and nothing to read a database or a DataFrame with."""
    here = world("3.3.2-commonio-sqlite")
    uri = next(f"s3://{here.bucket}/{key}" for key in here.keys if "/upstream_ok/" in key)
    assert loaded(xcomctl, "show", uri) == {"boto3"}


def test_show_of_a_value_in_its_row_loads_no_store(xcomctl: Command, world: Worlds) -> None:
    """What the row holds itself is shown without a client of the store, and without what reads DataFrames."""
    database = ("--db", world("2.5.0-default-sqlite").db_url)
    listed = json.loads(xcomctl("ls", *database, "--no-stat", "--limit", "0", "-o", "json").stdout)
    row_id = next(entry["id"] for entry in listed if entry["type"] == "dict")
    assert loaded(xcomctl, "show", *database, row_id) == {"sqlalchemy"}
