from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.test_inventory import NOW, ONE, ROOT, TWO, expiring, objects, row, rows, states
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import UsageError
from xcomctl.inventory import Inventory
from xcomctl.inventory.matches import require_matches
from xcomctl.policy import Pin, Policy, Rule, verdicts_sql

DAY = timedelta(days=1)
THIRTY = Rule(older_than=30 * DAY, keep_last=0)


@pytest.fixture
def inventory() -> Iterator[Inventory]:
    """An empty inventory of s3://xcoms/prod with the built-in dialects."""
    with Inventory(DialectRegistry(), [ROOT]) as made:
        yield made


def old(run: str = "r1", age: float = 40, **changes: Any) -> dict[str, Any]:
    """A row of a run that ended so many days ago."""
    at = NOW - timedelta(days=age)
    return row(1, **{"run_id": run, "written_at": at, "run_at": at, "run_ended_at": at} | changes)


CASES: Sequence[tuple[str, Policy, list[dict[str, Any]], list[tuple[str, str]]]] = (
    ("no rule", Policy(), [old()], []),
    (
        "the reason says where the rule is",
        Policy(rules=(Rule("etl", older_than=30 * DAY, keep_last=0, place="policy.toml:7"),)),
        [old(), old(dag_id="other")],
        [("r1", "expired: 40.0d > 30d (policy.toml:7)")],
    ),
    (
        "the more specific rule wins, however they are ordered",
        Policy(
            rules=(
                THIRTY,
                Rule("etl", key="frame", older_than=1 * DAY, keep_last=0),
                Rule("etl", older_than=100 * DAY, keep_last=0),
                Rule(key="frame", older_than=7 * DAY, keep_last=0),
            )
        ),
        [
            old("etl frame", 2, key="frame"),
            old("etl other", 50),
            old("beta frame", 8, dag_id="beta", key="frame"),
            old("beta other", 8, dag_id="beta"),
        ],
        [("beta frame", "expired: 8.0d > 7d"), ("etl frame", "expired: 2.0d > 1d")],
    ),
    (
        "a rule without a limit keeps what it is for",
        Policy(rules=(THIRTY, Rule("etl"))),
        [old(), old("r2", dag_id="beta")],
        [("r2", "expired: 40.0d > 30d")],
    ),
    (
        "keep last per key reaches back over runs that did not push it",
        Policy(rules=(Rule(older_than=DAY, keep_last=0, keep_last_per_key=2),)),
        [
            *(old(run, age) for run, age in (("r1", 50), ("r2", 40), ("r3", 30))),
            *(old(run, age, key="rare") for run, age in (("r0", 60), ("r1", 50))),
            old("r0", 60, key="rare", map_index=1),
        ],
        [("r1", "expired: 50.0d > 1d")],
    ),
    (
        "a superseded attempt does not take the place of a value",
        Policy(rules=(Rule(older_than=DAY, keep_last=0, keep_last_per_key=1),)),
        [old("r1", 50), old("r0", 60), old("r2", 40, superseded=True)],
        [("r0", "expired: 60.0d > 1d")],
    ),
    (
        "failed runs for a time",
        Policy(rules=(Rule(older_than=30 * DAY, keep_last=0, keep_failed=45 * DAY),)),
        [old("r1", 40, run_state="failed"), old("r2", 50, run_state="failed"), old("r3", 40)],
        [("r2", "expired: 50.0d > 30d"), ("r3", "expired: 40.0d > 30d")],
    ),
    (
        "failed runs for ever",
        Policy(rules=(Rule(older_than=30 * DAY, keep_last=0, keep_failed=True),)),
        [old("r1", 4000, run_state="failed"), old("r3", 40)],
        [("r3", "expired: 40.0d > 30d")],
    ),
    (
        "small values stay",
        Policy(rules=(Rule(older_than=30 * DAY, keep_last=0, min_size=10),)),
        [old("r1", raw=b"123456789"), old("r2", raw=b"1234567890")],
        [("r2", "expired: 40.0d > 30d")],
    ),
    (
        "a pin keeps, and ends",
        Policy(
            rules=(THIRTY,),
            pins=(
                Pin("audit", dag="etl", run="r1"),
                Pin("over", run="r2", until=NOW),
                Pin("not yet over", run="r3", until=NOW + timedelta(seconds=1)),
            ),
        ),
        [old("r1"), old("r2"), old("r3"), old("r1", dag_id="beta")],
        [("r1", "expired: 40.0d > 30d"), ("r2", "expired: 40.0d > 30d")],
    ),
    (
        "the scope of the command line goes with a file's rules",
        Policy(dag="b*", rules=(THIRTY,)),
        [old("r1"), old("r2", dag_id="beta")],
        [("r2", "expired: 40.0d > 30d")],
    ),
    (
        "runs of the future are not the newest, and stay",
        Policy(rules=(Rule(keep_last=1),)),
        [old("r1", 5), old("r2", 4), old("r3", -1)],
        [("r1", "expired: beyond the newest 1 finished runs of etl")],
    ),
)


@pytest.mark.parametrize(("policy", "given", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_rules(
    inventory: Inventory, policy: Policy, given: list[dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    """Which rows a policy of several rules lets go, and why."""
    inventory.add_rows([rows(*given)])
    assert expiring(inventory, policy) == expected


def test_the_size_of_a_value_is_that_of_its_row_and_its_objects(inventory: Inventory) -> None:
    """A reference is small, what it points to may not be: each object counts that the row references."""
    one, two = f"prod/etl/r1/load/{ONE}", f"prod/etl/r2/load/{TWO}"
    inventory.add_objects(ROOT, [objects(one, two)])
    raw = f'"s3://c@xcoms/{one}"'.encode()
    inventory.add_rows([rows(old("r1", raw=raw), old("r2", raw=f'"s3://c@xcoms/{two}"'.encode()))])
    just, above = (Rule(older_than=DAY, keep_last=0, min_size=len(raw) + 10 + more) for more in (0, 1))
    assert [run for run, _ in expiring(inventory, Policy(rules=(just,)))] == ["r1", "r2"]
    assert expiring(inventory, Policy(rules=(above,))) == []


def kept_by(inventory: Inventory, policy: Policy) -> list[tuple[str, list[tuple[str, str]]]]:
    """Run, and kind and reason of all that keeps it, of each row."""
    query, parameters = verdicts_sql(policy, NOW)
    found = inventory.sql.execute(
        f"SELECT run_id, kept_by FROM ({query}) JOIN rows USING (row_id) ORDER BY run_id", parameters
    ).fetchall()
    return [(run, [(keep["kind"], keep["reason"]) for keep in keeps]) for run, keeps in found]


def test_every_row_that_stays_says_why(inventory: Inventory) -> None:
    """Each thing that keeps a row is told, and a row that nothing keeps goes."""
    policy = Policy(
        rules=(
            Rule(
                older_than=30 * DAY,
                keep_last=1,
                keep_last_per_key=2,
                keep_failed=90 * DAY,
                min_size=2,
                place="policy.toml:1",
            ),
            Rule("free"),
        ),
        pins=(Pin("audit 4711", run="f", until=NOW + DAY, place="policy.toml:9"),),
    )
    inventory.add_rows(
        [
            rows(
                old("a", archived=True, run_state=None),
                old("b", run_state="running"),
                old("c", -1, run_state="success", raw=b"12"),
                old("d", 10, raw=b"12"),
                old("e", 50, raw=b"1"),
                old("f", 60, raw=b"12", run_state="failed"),
                old("g", 70, dag_id="free"),
                old("h", 80, raw=b"12", written_at=None),
                old("i", 90, raw=b"12"),
                old("j", 40, raw=f'"s3://c@elsewhere/x/etl/j/load/{ONE}"'.encode()),
            )
        ]
    )
    at = "(policy.toml:1)"
    assert kept_by(inventory, policy) == [
        (
            "a",
            [
                ("archived", "it is in an archive table"),
                ("run_active", "its run is not known"),
                ("min_size", f"min_size: 1 B < 2 B {at}"),
            ],
        ),
        (
            "b",
            [("run_active", "its run is not over: running"), ("min_size", f"min_size: 1 B < 2 B {at}")],
        ),
        (
            "c",
            [
                ("run_in_future", "its run is dated in the future"),
                ("young", f"older_than: -1.0d <= 30d {at}"),
            ],
        ),
        (
            "d",
            [
                (
                    "keep_last",
                    f"keep_last: its run is the newest finished one of etl {at}",
                ),
                (
                    "keep_last_per_key",
                    f"keep_last_per_key: it is number 1 of the newest 2 of its task and key {at}",
                ),
                ("young", f"older_than: 10.0d <= 30d {at}"),
            ],
        ),
        ("e", [("min_size", f"min_size: 1 B < 2 B {at}")]),
        (
            "f",
            [
                ("pinned", "pinned: audit 4711 until 2026-11-23T12:00:00Z (policy.toml:9)"),
                ("keep_failed", f"keep_failed: its run failed, and is kept 90d {at}"),
            ],
        ),
        ("g", [("no_rule", "no rule lets it go")]),
        ("h", [("age_unknown", "the time at which it was written cannot be read")]),
        ("i", []),
        (
            "j",
            [
                ("unresolved", "its reference cannot be followed with the stores at hand"),
                (
                    "keep_last_per_key",
                    f"keep_last_per_key: it is number 2 of the newest 2 of its task and key {at}",
                ),
            ],
        ),
    ]


def test_a_pin_keeps_orphaned_objects_as_well(inventory: Inventory) -> None:
    """An object that no row references is kept by a pin on what its key tells, also where the key tells nothing."""
    pinned, other = f"prod/etl/r1/load/{ONE}", f"prod/beta/r1/load/{TWO}"
    inventory.add_objects(ROOT, [objects(pinned, other)])
    inventory.add_rows([])
    assert states(inventory, Policy(pins=(Pin("audit", dag="etl"),))) == {pinned: "live", other: "orphaned"}
    # This layout does not have the key of the XCom, so it may be the pinned one.
    assert states(inventory, Policy(pins=(Pin("audit", dag="etl", key="frame"),))) == {
        pinned: "live",
        other: "orphaned",
    }


def test_an_object_whose_rows_go_goes_unless_its_own_coordinates_are_pinned(inventory: Inventory) -> None:
    """What a row says of an object stands in for what its key does not tell."""
    key = f"prod/etl/r1/load/{ONE}"
    inventory.add_objects(ROOT, [objects(key)])
    inventory.add_rows([rows(old("r9", dag_id="beta", raw=f'"s3://c@xcoms/{key}"'.encode()))])
    for pin, state in (
        (Pin("a", dag="etl"), "live"),
        (Pin("a", key="frame"), "expired"),
        (Pin("a", dag="b*"), "live"),
    ):
        assert states(inventory, Policy(rules=(THIRTY,), pins=(pin,))) == {key: state}


@pytest.mark.parametrize(
    ("policy", "cause", "hint"),
    [
        (
            Policy(dag="elt*"),
            "--dag 'elt*' matches no DAG, neither in the database nor in the stores",
            "xcomctl ls",
        ),
        (
            Policy(rules=(Rule("elt*", place="policy.toml:3"),)),
            "policy.toml:3: dag = 'elt*' matches no known DAG",
            "did you mean etl?",
        ),
        (
            Policy(rules=(Rule("etl", task="laod", place="policy.toml:3"),)),
            "policy.toml:3: task = 'laod' matches no XCom of dag 'etl'",
            "did you mean load?",
        ),
        (
            Policy(rules=(Rule("etl", "load", "retrun_value", place="policy.toml:3"),)),
            "policy.toml:3: key = 'retrun_value' matches no XCom of dag 'etl', task 'load'",
            "did you mean return_value?",
        ),
        (
            Policy(pins=(Pin("audit", dag="etl", run="r2", place="policy.toml:9"),)),
            "policy.toml:9: this pin keeps nothing, no XCom matches dag 'etl', run 'r2'",
            "correct its globs",
        ),
    ],
)
def test_a_glob_that_matches_nothing_is_an_error(
    inventory: Inventory, policy: Policy, cause: str, hint: str
) -> None:
    """A typing mistake does not look like a clean bucket: it is told with its line and what is near."""
    inventory.add_rows([rows(old())])
    with pytest.raises(UsageError) as raised:
        require_matches(inventory, policy, {"etl"}, now=NOW)
    assert str(raised.value) == cause
    assert str(raised.value.hint).startswith(hint)


def test_what_matches_is_in_rows_objects_or_the_list_of_dags(inventory: Inventory) -> None:
    """A DAG that has no XCom yet is known, one of which only objects are left is, too, and a pin that is over is past."""
    inventory.add_objects(ROOT, [objects(f"prod/gone/r1/load/{ONE}")])
    inventory.add_rows([rows(old())])
    policy = Policy(
        dag="g*",
        rules=(
            Rule("new", key="anything"),
            Rule("gone", task="load"),
            Rule("e*", "load"),
            Rule(key="return_*"),
        ),
        pins=(Pin("a", dag="gone", run="r?"), Pin("b", run="r1"), Pin("c", dag="none", until=NOW)),
    )
    require_matches(inventory, policy, {"etl", "new"}, now=NOW)
