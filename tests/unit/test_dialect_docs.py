"""What docs/dialects.md says is what the code does."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from xcomctl.dialects.configured import DialectRule
from xcomctl.dialects.interface import Claim
from xcomctl.dialects.registry import BUILT_IN, DialectRegistry

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = (Path(__file__).parents[2] / "docs" / "dialects.md").read_text(encoding="utf-8")


def test_the_table_lists_the_built_in_dialects_in_the_order_in_which_they_are_asked() -> None:
    """A new dialect is documented, or this fails."""
    table = PAGE.split("## Built-in dialects")[1].split("Keys are claimed")[0]

    assert re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE) == list(BUILT_IN)


def test_the_worked_example_reads_the_reference_and_claims_the_key_of_the_page() -> None:
    """The lines can be copied as they stand."""
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    stored = re.search(r"stores `(etl://[^`]+)`", PAGE)
    written = re.search(r"writes Parquet to `([^`]+)`", PAGE)
    assert stored is not None
    assert written is not None
    dialects = DialectRegistry([DialectRule(**table) for table in tomllib.loads(example)["dialect"]])

    (found,) = dialects.references(f'"{stored[1]}"'.encode(), [])

    assert (found.dialect, found.confidence, found.codec) == ("team-etl", "exact", "parquet")
    assert [address.uri for address in found.addresses] == [f"s3://team-xcoms/{written[1]}"]
    assert dialects.claim(written[1]) == Claim(
        "team-etl", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", codec="parquet"
    )
