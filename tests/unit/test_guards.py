from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.test_inventory import NOW, ONE, ROOT, TWO, objects, row, rows
from xcomctl.airflow.database import DatabaseSource
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import UsageError
from xcomctl.gc.guards import Background, acceptances, judge
from xcomctl.gc.plan import Guard
from xcomctl.inventory import Inventory
from xcomctl.inventory.classify import classify
from xcomctl.inventory.judging import Judged
from xcomctl.inventory.scan import Scan
from xcomctl.policy import Policy
from xcomctl.state.owner import Owner
from xcomctl.state.ownership import OwnedRoot, Ownership

OURS = "0123456789abcdef"
OTHER = "fedcba9876543210"


def owner(database: str = OURS, *, rows: int = 0, newest_run: int | None = None) -> Owner:
    """A marker that an operation left."""
    return Owner(database, "sqlite:////airflow.db", rows, newest_run, None, NOW, "0.1.0")


def ownership_of(owners: Sequence[Owner]) -> Ownership:
    """The root with these markers."""
    return Ownership(at=tuple(OwnedRoot(ROOT, one.database, one.label, one) for one in owners))


def guards(
    keys: list[str],
    values: list[object],
    *,
    known: frozenset[str] = frozenset({"etl"}),
    deletes: bool = True,
    written: timedelta = timedelta(days=1),
    skew: timedelta = timedelta(0),
    replica: bool = False,
    open_for: timedelta = timedelta(0),
    owners: Sequence[Owner] = (),
    max_share: float = 0.5,
    accepted: tuple[str, ...] = (),
) -> dict[str, Guard]:
    """Guards of an inventory with objects at `keys` and rows that hold `values`."""
    with Inventory(DialectRegistry(), [ROOT]) as inventory:
        inventory.add_objects(ROOT, [objects(*keys, at=NOW - written)])
        inventory.add_rows([rows(*(row(value, key=f"k{n}") for n, value in enumerate(values)))])
        classify(inventory, Policy(), now=NOW, cutoff=NOW)
        found = judge(
            Judged(
                inventory,
                Scan(NOW, NOW, skew, replica, NOW, open_for, newest_run=1, known_dags=frozenset(known)),
            ),
            Background(DatabaseSource("sqlite:///not-asked.db"), OURS, ownership_of(owners)),
            deletes_orphans=deletes,
            max_share=max_share,
            accepted=accepted,
        )
    return {guard.id: guard for guard in found}


def refused(found: dict[str, Guard]) -> dict[str, float | str]:
    """Value of every guard that refuses."""
    return {name: guard.value for name, guard in found.items() if not guard.ok}


LIVE = f"prod/etl/r1/load/{ONE}"
ORPHAN = f"prod/etl/r1/load/{TWO}"


def test_two_sides_that_fit_pass() -> None:
    """All guards are told, with their numbers, also those that pass."""
    found = guards([LIVE, ORPHAN], [f"s3://xcoms/{LIVE}"])
    assert {name: (g.ok, g.value, g.limit) for name, g in found.items()} == {
        "empty_database": (True, 1, 1),
        "shrunk_database": (True, 1, 0),
        "older_database": (True, 1, 0),
        "cross_match": (True, 1.0, 0.1),
        "unreadable_references": (True, 0, 0),
        "unknown_dags": (True, 0, 0),
        "unknown_runs": (True, 0, 20),
        "unused_dialects": (True, 0, 0),
        "orphan_share": (True, 1, 100),
        "owner": (True, OURS, OURS),
        "open_transaction": (True, 0, 24),
        "replica": (True, 0.0, 0),
        "clock_skew": (True, 0.0, 300.0),
    }


def test_an_empty_database_is_refused_only_where_orphans_would_go() -> None:
    """A plan that deletes no orphan cannot be misled by missing rows."""
    assert refused(guards([ORPHAN], [])) == {"empty_database": 0, "cross_match": 0.0}
    assert refused(guards([ORPHAN], [], deletes=False)) == {}


@pytest.mark.parametrize(("present", "passes"), [(0, False), (1, True), (9, True)])
def test_references_must_match_objects(present: int, passes: bool) -> None:
    """At least a tenth of the references under the stores; references elsewhere do not count."""
    keys = [f"prod/etl/r1/load/{number:08d}{ONE[8:]}" for number in range(10)]
    values: list[object] = [*(f"s3://xcoms/{key}" for key in keys), f"s3://elsewhere/base/a/b/c/{TWO}"]
    found = guards([*keys[:present], ORPHAN], values)["cross_match"]
    assert (found.value, found.ok) == (present / 10, passes)


@pytest.mark.parametrize(("before", "passes"), [(0, True), (3, True), (4, True), (5, False)])
def test_a_database_that_lost_most_of_its_rows_is_refused(before: int, passes: bool) -> None:
    """If it has less than half of the rows that it had after the last operation; here it has two."""
    keep = [f"s3://xcoms/{LIVE}", 1]
    found = guards([LIVE, ORPHAN], keep, owners=[owner(rows=before)])["shrunk_database"]
    assert (found.value, found.ok) == (2, passes)
    assert f"has 2 XCom rows; after the last operation on these stores it had {before}" in found.cause
    assert refused(guards([LIVE], keep, owners=[owner(rows=before)], deletes=False)) == {}
    accepted = guards([LIVE, ORPHAN], keep, owners=[owner(rows=before)], accepted=("shrunk_database=2",))
    assert refused(accepted) == {}


@pytest.mark.parametrize(("before", "passes"), [(None, True), (1, True), (2, False)])
def test_a_database_that_went_back_in_time_is_refused(before: int | None, passes: bool) -> None:
    """Its newest run has a lower number than one that was seen: objects of later runs would look orphaned."""
    owners = [owner(newest_run=before)]
    found = guards([LIVE, ORPHAN], [f"s3://xcoms/{LIVE}"], owners=owners)["older_database"]
    assert (found.value, found.ok, "restored from a backup" in found.cause) == (1, passes, True)
    assert refused(guards([LIVE], [1], owners=owners, deletes=False)) == {}


def test_a_store_of_another_database_is_refused() -> None:
    """Whatever would go; its marker names it, and accepting it names it, too. Of what it held nothing is expected."""
    there = [owner(OTHER, rows=1000, newest_run=1000)]
    found = guards([LIVE], [f"s3://xcoms/{LIVE}"], owners=there, deletes=False)
    assert refused(found) == {"owner": OTHER}
    assert found["owner"].acceptance == f"owner={OTHER}"
    assert f"belongs to another database, sqlite:////airflow.db ({OTHER})" in found["owner"].cause
    for word, refusals in ((OTHER, {}), (OURS, {"owner": OTHER})):
        again = guards([LIVE, ORPHAN], [f"s3://xcoms/{LIVE}"], owners=there, accepted=(f"owner={word}",))
        assert refused(again) == refusals
    assert refused(guards([LIVE, ORPHAN], [f"s3://xcoms/{LIVE}"], owners=[owner()])) == {}


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        ({"note": ["see xcoms/prod/etl/r1/load/data.xyz"]}, True),
        ("copied to xcoms/prod/etl/r1/load/data.xyz.", True),
        ("see xcoms/prod/", False),
        ("see my-xcoms/prod/etl", False),
        ("xcoms/production/etl", False),
        (f"s3://xcoms/{LIVE}", False),
        (f"xcoms/prod/odd/{ONE}", False),
        (7, False),
    ],
)
def test_places_that_no_dialect_reads_are_refused(value: object, counts: bool) -> None:
    """A text that names something below the root, and keeps nothing: another backend may write so."""
    found = guards([LIVE, ORPHAN], [f"s3://xcoms/{LIVE}", value])["unreadable_references"]
    assert (found.value, found.ok) == (int(counts), not counts)
    if counts:
        assert "such as etl/r1/load:k1" in found.cause


@pytest.mark.parametrize(
    ("orphans", "share", "passes"), [(100, 0.5, True), (101, 0.5, False), (101, 1.0, True), (101, 0.9, False)]
)
def test_too_large_a_share_of_orphans_is_refused(orphans: int, share: float, passes: bool) -> None:
    """More than half of all objects, unless they are few: the number must be accepted exactly."""
    keys = [LIVE, *(f"prod/etl/r1/load/{number:08d}{TWO[8:]}" for number in range(orphans))]
    found = guards(keys, [f"s3://xcoms/{LIVE}"], max_share=share)["orphan_share"]
    assert (found.value, found.ok) == (orphans, passes)
    assert found.cause.startswith(f"{orphans} of the {orphans + 1} objects that backends wrote would go")
    accepted = guards(keys, [f"s3://xcoms/{LIVE}"], max_share=share, accepted=(f"orphan_share={orphans}",))
    assert refused(accepted) == {}


@pytest.mark.parametrize(("hours", "passes"), [(24.0, True), (24.5, False), (49.9, False)])
def test_a_forgotten_transaction_is_refused(hours: float, passes: bool) -> None:
    """One that has been open for more than a day; accepted in whole hours, so that there is time to type them."""
    open_for = timedelta(hours=hours)
    found = guards([LIVE, ORPHAN], [f"s3://xcoms/{LIVE}"], open_for=open_for)["open_transaction"]
    assert (found.value, found.ok) == (int(hours), passes)
    assert f"has been open for {int(hours)} h" in found.cause


@pytest.mark.parametrize(
    ("written", "known", "value"),
    [
        (timedelta(days=6), frozenset({"etl"}), 1),
        (timedelta(days=800), frozenset({"etl"}), 1),
        (timedelta(days=6), frozenset({"etl", "alien"}), 0),
    ],
    ids=["lately", "long ago", "known"],
)
def test_objects_of_unknown_dags_look_like_another_deployment(
    written: timedelta, known: frozenset[str], value: int
) -> None:
    """Whenever they wrote last: a monthly DAG is at rest for weeks."""
    alien = f"prod/alien/r1/load/{TWO}"
    found = guards([LIVE, alien], [f"s3://xcoms/{LIVE}"], known=known, written=written)
    assert refused(found) == ({"unknown_dags": value} if value else {})


def test_a_component_that_was_cut_names_no_dag() -> None:
    """A DAG id too long for a key is marked there as cut: it is not an unknown DAG's."""
    whole = "prod/etl/r1/load/-1/return_value/33333333-3333-4333-8333-333333333333.json"
    cut = f"prod/very_long%7E0123abcd/r1/load/-1/return_value/{TWO}.json"
    assert refused(guards([LIVE, whole, cut], [f"s3://xcoms/{LIVE}", whole])) == {}


def test_replicas_and_clocks_are_judged_always() -> None:
    """A replica may lag, and ages mean nothing where clocks differ: also for rows alone."""
    found = guards([LIVE], [f"s3://xcoms/{LIVE}"], deletes=False, replica=True, skew=timedelta(seconds=301))
    assert refused(found) == {"replica": 1.0, "clock_skew": 301.0}
    assert refused(guards([LIVE], [1], deletes=False, skew=timedelta(seconds=300))) == {}


def test_a_guard_is_overruled_by_its_exact_value() -> None:
    """Whatever way it is written; any other value, and the value of another guard, do not."""
    given: dict[str, Any] = {"replica": True, "skew": timedelta(seconds=400)}
    assert refused(guards([], [], deletes=False, accepted=("replica=1", "clock_skew=400.0"), **given)) == {}
    assert set(refused(guards([], [], deletes=False, accepted=("replica=0", "clock_skew=401"), **given))) == {
        "replica",
        "clock_skew",
    }


@pytest.mark.parametrize(
    ("value", "word"),
    [(1234567, "unknown_dags=1234567"), (0.0123, "unknown_dags=0.0123"), (0.0, "unknown_dags=0")],
)
def test_the_acceptance_says_the_value_exactly(value: float, word: str) -> None:
    """Large numbers are not rounded: 1,234,567 orphans are not 1,234,568."""
    guard = Guard("unknown_dags", False, value, 0, "")
    assert (guard.acceptance, acceptances([word])) == (word, {"unknown_dags": value})


@pytest.mark.parametrize(
    "words",
    [
        ["cross_match"],
        ["cross_match="],
        ["cross_match=nan"],
        ["cross_match=inf"],
        ["cross_match=-1"],
        ["cross_match=1e3"],
        ["=1"],
        ["yes"],
        ["replica=1", "replica=2"],
        ["owner=1"],
        ["owner=the other one"],
        ["orphan_share=0123456789abcdef"],
    ],
)
def test_a_word_that_is_no_acceptance_is_a_usage_error(words: list[str]) -> None:
    """A mistyped guard must not be taken for one that was not needed."""
    with pytest.raises(UsageError):
        acceptances(words)
