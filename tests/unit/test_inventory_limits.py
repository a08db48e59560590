from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.unit.test_inventory import ONE, ROOT, objects, row, rows
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import UsageError, XcomctlError
from xcomctl.inventory import Inventory
from xcomctl.inventory.workspace import Resources

KEY = f"prod/etl/r1/load/{ONE}"


def test_an_inventory_keeps_to_its_limits(tmp_path: Path) -> None:
    """Memory, threads and the folder for what does not fit are those that were asked for; the folder is empty after."""
    limits = Resources(memory=128 << 20, threads=1, tmp=tmp_path)
    with Inventory(DialectRegistry(), [ROOT], resources=limits) as inventory:
        names = ("memory_limit", "threads", "temp_directory")
        memory, threads, folder = (
            inventory.run("SELECT current_setting($name)", {"name": name})[0][0] for name in names
        )
        assert (memory, threads) == ("128.0 MiB", 1)
        assert Path(folder).parent == tmp_path
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_is_none_is_told_with_the_option_that_names_another(tmp_path: Path) -> None:
    """A wrong --tmp is a usage error."""
    with pytest.raises(UsageError) as raised:
        Inventory(DialectRegistry(), [ROOT], resources=Resources(tmp=tmp_path / "none"))
    assert str(raised.value) == f"nothing can be written to {tmp_path}/none: No such file or directory"
    assert raised.value.hint == "--tmp DIR names another folder"


def test_too_little_memory_is_told_with_the_option_that_allows_more(tmp_path: Path) -> None:
    """What needs more than memory and disk can hold ends with one line and what to type, not with DuckDB's own words."""

    def ask_for_much() -> None:
        limits = Resources(memory=16 << 20, threads=1, tmp=tmp_path)
        with Inventory(DialectRegistry(), [ROOT], resources=limits) as inventory:
            inventory.run("SET max_temp_directory_size = '1MB'")
            inventory.run("SELECT count(*) FROM (SELECT DISTINCT md5(range::VARCHAR) FROM range(2000000))")

    with pytest.raises(XcomctlError) as raised:
        ask_for_much()
    assert str(raised.value).startswith("16.0 MiB of memory, ")
    assert "--memory 32MiB allows more" in (raised.value.hint or "")
    assert isinstance(raised.value.__cause__, duckdb.OutOfMemoryException)


_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.unit.test_inventory import ROOT
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import XcomctlError
from xcomctl.inventory import Inventory
from xcomctl.inventory.workspace import Resources

resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18))
try:
    with Inventory(DialectRegistry(), [ROOT], resources=Resources(tmp=Path(sys.argv[1]))) as inventory:
        inventory.run(sys.argv[2])
except XcomctlError as error:
    print(error, error.hint, sep="\\n")
"""


@pytest.mark.parametrize("rows", [20_000, 1_000_000])
def test_a_full_disk_is_told_with_the_option_that_names_another(tmp_path: Path, rows: int) -> None:
    """Whether it is full while rows are added, or when all of them are there."""
    statement = f"CREATE TABLE much AS SELECT md5(range::VARCHAR) FROM range({rows})"
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path), statement],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    message, hint = done.stdout.splitlines()
    assert message.startswith(f"the inventory cannot use its temporary files in {tmp_path}: ")
    assert "File too large" in message
    assert hint == "--tmp DIR names a folder with more room"
    assert [*tmp_path.iterdir()] == []


def test_links_can_be_had_without_the_rows() -> None:
    """`add_links` links the same objects as `add_rows`, and keeps no other row."""
    given = rows(
        row(f"s3://xcoms/{KEY}"),
        row({"see": ONE}),
        row("nothing"),
        row(f"s3://xcoms/{KEY.replace('1111-4', '2222-4')}"),
        row(None, raw=None),
    )
    found = []
    for keep in (Inventory.add_rows, Inventory.add_links):
        with Inventory(DialectRegistry(), [ROOT]) as inventory:
            inventory.add_objects(ROOT, [objects(KEY)])
            keep(inventory, [given])
            found.append(
                (
                    inventory.run("SELECT row_id, exact FROM links ORDER BY ALL"),
                    inventory.run("SELECT row_id FROM rows ORDER BY ALL"),
                )
            )
    links = [(0, True), (1, False)]
    assert found == [(links, [(0,), (1,), (2,), (3,), (4,)]), (links, [(0,)])]
