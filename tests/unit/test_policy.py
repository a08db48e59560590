from __future__ import annotations

import pytest

from tests.unit.test_inventory import ATTEMPT, ONE, ROOT, TWO, objects, row, rows, states
from xcomctl.dialects.configured import DialectRule
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.inventory import Inventory

HEX = ONE.replace("-", "")


def kept(rule: DialectRule, key: str, *values: object) -> list[str]:
    """State of an object of a configured layout beside one row for each value, each time alone."""
    found = []
    for value in values:
        with Inventory(DialectRegistry([rule]), [ROOT]) as inventory:
            inventory.add_objects(ROOT, [objects(key)])
            inventory.add_rows([rows(row(value))])
            found.append(states(inventory)[key])
    return found


@pytest.mark.parametrize(
    ("unique", "name", "mention"),
    [
        ("a(?P<unique>[0-9a-f]{32})", f"a{HEX}", f"a{HEX}"),
        ("(?P<unique>[0-9a-f]{32})b7", f"{HEX}b7", f"{HEX.upper()}B7"),
        ("[0-9a-f]{32}(?P<unique>[0-9a-f-]{36})", HEX + TWO, f"see {HEX + TWO}"),
        ("(?P<unique>[0-9a-f-]{36}_part[0-9])", f"{ONE}_part1", f"{ONE}_part1"),
        ("(?P<unique>[0-9a-f-]{36}/part [0-9])", f"{ONE}/part 1", f"{ONE}/part 1"),
        ("(?P<unique>[0-9a-f-]{36}/é)", f"{ONE}/é", f"{ONE}/é"),
    ],
    ids=[
        "hex before",
        "hex behind",
        "uuid behind hex",
        "no slash behind",
        "space behind",
        "not ASCII behind",
    ],
)
def test_any_layout_of_a_configured_dialect_is_kept_by_a_mention(
    unique: str, name: str, mention: str
) -> None:
    """Whatever surrounds the uuid in the key, a value that holds it keeps the object; one that does not, does not."""
    rule = DialectRule(name="house", key=unique)
    deep = {"deep": [{"why": f"it is {mention}"}]}
    assert kept(rule, f"prod/{name}", mention, deep, f"x/{mention}/y", "nothing") == [
        "live",
        "live",
        "live",
        "orphaned",
    ]


def test_a_uuid_behind_another_one_is_found() -> None:
    """A run whose id holds a uuid: the uuid of the object follows it in the same word."""
    key = f"prod/etl/manual__{TWO}/load/{ONE}"
    with Inventory(DialectRegistry(), [ROOT]) as inventory:
        inventory.add_objects(ROOT, [objects(key)])
        inventory.add_rows([rows(row(b"\x80\x04\x8c\x40file:/old/mount/" + key.encode() + b"\x94."))])
        assert states(inventory) == {key: "live"}


def test_a_mention_of_an_attempt_with_another_key_keeps_nothing() -> None:
    """All XComs of an attempt share its uuid: the attempt alone keeps all of them, with a key just that one."""
    key = f"prod/etl/r1/load/ti-{ATTEMPT}/stats.json"
    with Inventory(DialectRegistry(), [ROOT]) as inventory:
        inventory.add_objects(ROOT, [objects(key)])
        inventory.add_rows([rows(row(f"ti-{ATTEMPT}/other.json"))])
        assert states(inventory) == {key: "orphaned"}
    with Inventory(DialectRegistry(), [ROOT]) as inventory:
        inventory.add_objects(ROOT, [objects(key)])
        inventory.add_rows([rows(row(f"ti-{ATTEMPT}"), row(f"ti-{ATTEMPT}/other.json", key="b"))])
        assert states(inventory) == {key: "live"}
