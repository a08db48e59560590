"""What counts as a mention: a uuid keeps its object whatever touches it, and so does the folder of an attempt."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator

import pytest

from tests.unit.test_inventory import ATTEMPT, OLD, ONE, ROOT, TWO, objects, row, rows, states
from xcomctl.airflow.interface import Mention
from xcomctl.dialects.configured import DialectRule
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.inventory import Inventory

DASHED = f"prod/etl/r1/load/{ONE}"
DIGITS = "0f7a49f2c3d84a5e9b1c6d2e8f3a7b5c"
PLAIN = f"prod/r1/load/data_{DIGITS}.json"
MD5 = hashlib.md5(b"etl", usedforsecurity=False).hexdigest()


@pytest.fixture
def inventory() -> Iterator[Inventory]:
    """One with the built-in dialects."""
    with Inventory(DialectRegistry(), [ROOT]) as made:
        yield made


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(MD5 + ONE, id="md5-before"),
        pytest.param(TWO + ONE, id="uuid-before"),
        pytest.param(ONE + MD5, id="md5-behind"),
        pytest.param(f"{MD5}{TWO}{ONE}{MD5}", id="amid"),
        pytest.param(f"{ONE[:8]}-{ONE}", id="a-beginning-before"),
        pytest.param({"key": (MD5 * 40 + ONE).upper()}, id="capitals-far-behind"),
    ],
)
def test_hex_digits_around_a_uuid_hide_nothing(inventory: Inventory, value: object) -> None:
    """A uuid with dashes is found where other hexadecimal digits touch it."""
    inventory.add_objects(ROOT, [objects(DASHED)])
    inventory.add_rows([rows(row(value))])
    assert states(inventory) == {DASHED: "live"}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(MD5 + DIGITS, id="md5-before"),
        pytest.param(DIGITS + MD5, id="md5-behind"),
        pytest.param("a" + DIGITS, id="a-digit-before"),
        pytest.param(MD5 + DIGITS + MD5[:7], id="both"),
        pytest.param(MD5 * 100 + DIGITS.upper() + MD5 * 100, id="in-a-dump"),
        *(
            pytest.param("1" * before + DIGITS + "2" * 600, id=f"at-{before}")
            for before in (480, 481, 511, 512)
        ),
        pytest.param({"joined": [MD5 + DIGITS, 1]}, id="nested"),
    ],
)
def test_a_uuid_lies_anywhere_in_a_run_of_hex_digits(inventory: Inventory, value: object) -> None:
    """`uuid.hex + uuid.hex` and the like: 32 digits are found at every position of a longer run."""
    inventory.add_objects(ROOT, [objects(PLAIN)])
    inventory.add_rows([rows(row(value))])
    assert states(inventory) == {PLAIN: "live"}


def test_the_length_in_a_pickle_may_look_like_a_digit(inventory: Inventory) -> None:
    """A pickle puts the length of a text right before it as one byte, which can be a hexadecimal digit: `a` is 97."""
    text = DIGITS + "/" + "x" * 64
    raw = pickle.dumps(text)
    assert b"a" + DIGITS.encode() in raw
    inventory.add_objects(ROOT, [objects(PLAIN)])
    inventory.add_rows([rows(row(raw))])
    assert states(inventory) == {PLAIN: "live"}


def test_a_longer_name_of_a_configured_layout_lies_anywhere_too() -> None:
    """A layout of the user may name objects by 40 digits: those are found inside of more."""
    digest = hashlib.sha1(b"etl", usedforsecurity=False).hexdigest()
    rule = DialectRule(name="house", key=r"house/(?P<unique>[0-9a-f]{40})\.json$")
    kept, gone = f"prod/house/{digest}.json", f"prod/house/{digest[::-1]}.json"
    with Inventory(DialectRegistry([rule]), [ROOT]) as inventory:
        inventory.add_objects(ROOT, [objects(kept, gone)])
        inventory.add_rows([rows(row(MD5 + digest + MD5))])
        assert states(inventory) == {kept: "live", gone: "orphaned"}


def test_digits_of_no_object_keep_none(inventory: Inventory) -> None:
    """A run that holds 31 digits of a uuid, or all of them in another order, keeps nothing."""
    inventory.add_objects(ROOT, [objects(PLAIN)])
    inventory.add_rows([rows(row(MD5 + DIGITS[1:]), row(MD5 + DIGITS[::-1], row_key="[2]"))])
    assert states(inventory) == {PLAIN: "orphaned"}


@pytest.mark.parametrize("behind", ["", "/", " is done", '"', "/stats.json"])
def test_an_attempt_without_its_tail_keeps_what_is_in_its_folder(inventory: Inventory, behind: str) -> None:
    """`ti-<uuid>` alone means all that this attempt wrote; with a tail it means the one object."""
    key, other = (f"prod/etl/r1/load/ti-{ATTEMPT}/{name}.json" for name in ("return_value", "stats"))
    inventory.add_objects(ROOT, [objects(key, other)])
    inventory.add_rows([rows(row({"see": f"etl/r1/load/ti-{ATTEMPT}{behind}"}))])
    state = "orphaned" if behind == "/stats.json" else "live"
    assert states(inventory) == {key: state, other: "live"}


@pytest.mark.parametrize(
    "text", [ONE, MD5 + ONE, f"prod/etl/r1/load/{ONE}", rf"s3:\/\/xcoms\/prod\/etl\/r1\/load\/{ONE}\\"]
)
def test_what_other_places_mention_is_kept(inventory: Inventory, text: str) -> None:
    """A mention in another table keeps its object as a row does, and is remembered by its place."""
    inventory.add_objects(ROOT, [objects(DASHED, f"prod/etl/r1/load/{TWO}")])
    inventory.add_rows([rows()])
    inventory.add_mentions([Mention("variable", "val", "latest", text), Mention("dag_run", "conf", "1", MD5)])
    assert states(inventory) == {DASHED: "live", f"prod/etl/r1/load/{TWO}": "orphaned"}
    assert inventory.run("SELECT source_table, field, row_key FROM mentioning_places") == [
        ("variable", "val", "latest")
    ]


def test_a_key_without_a_uuid_is_mentioned_by_its_text() -> None:
    """Elsewhere as in rows: the key below its root, escaped or not."""
    rule = DialectRule(name="house", key=r"house/(?P<dag_id>[^/]+)/(?P<key>[^/]+)\.json$")
    kept, gone = "prod/house/etl/é.json", "prod/house/etl/b.json"
    with Inventory(DialectRegistry([rule]), [ROOT]) as inventory:
        inventory.add_objects(ROOT, [objects(kept, gone)])
        inventory.add_rows([rows()])
        inventory.add_mentions([Mention("dag_run", "conf", "1", r"prod\/house\/etl\/\u00e9.json")])
        assert states(inventory) == {kept: "live", gone: "orphaned"}


def test_a_row_that_expires_leaves_what_a_place_mentions(inventory: Inventory) -> None:
    """The mention elsewhere outlives the row: the object stays."""
    inventory.add_objects(ROOT, [objects(DASHED)])
    inventory.add_rows([rows(row(f"s3://c@xcoms/{DASHED}", written_at=OLD))])
    inventory.add_mentions([Mention("asset_event", "extra", "3", ONE)])
    inventory.run("INSERT INTO expiring_rows SELECT row_id, 'expired' FROM rows")
    assert inventory.run("SELECT kept, named FROM keeping") == [(True, True)]
