from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.test_inventory import NOW, ONE, ROOT, TWO, objects, row, rows
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import UsageError
from xcomctl.guards import acceptances, judge
from xcomctl.inventory import Inventory
from xcomctl.inventory.classify import classify
from xcomctl.plan import Guard
from xcomctl.policy import Policy


def guards(
    keys: list[str],
    values: list[object],
    *,
    known: frozenset[str] = frozenset({"etl"}),
    deletes: bool = True,
    written: timedelta = timedelta(days=1),
    skew: timedelta = timedelta(0),
    replica: bool = False,
    accepted: tuple[str, ...] = (),
) -> dict[str, Guard]:
    """Guards of an inventory with objects at `keys` and rows that hold `values`."""
    with Inventory(DialectRegistry(), [ROOT]) as inventory:
        inventory.add_objects(ROOT, [objects(*keys, at=NOW - written)])
        inventory.add_rows([rows(*(row(value, key=f"k{n}") for n, value in enumerate(values)))])
        classify(inventory, Policy(), now=NOW, cutoff=NOW)
        found = judge(
            inventory,
            set(known),
            deletes_orphans=deletes,
            store_at=NOW,
            skew=skew,
            replica=replica,
            accepted=accepted,
        )
    return {guard.id: guard for guard in found}


def refused(found: dict[str, Guard]) -> dict[str, float]:
    """Value of every guard that refuses."""
    return {name: guard.value for name, guard in found.items() if not guard.ok}


LIVE = f"prod/etl/r1/load/{ONE}"
ORPHAN = f"prod/etl/r1/load/{TWO}"


def test_two_sides_that_fit_pass() -> None:
    """All guards are told, with their numbers, also those that pass."""
    found = guards([LIVE, ORPHAN], [f"s3://xcoms/{LIVE}"])
    assert {name: (g.ok, g.value, g.limit) for name, g in found.items()} == {
        "empty_database": (True, 1, 1),
        "cross_match": (True, 1.0, 0.1),
        "unknown_dags": (True, 0, 0),
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


@pytest.mark.parametrize(
    ("written", "known", "value"),
    [
        (timedelta(days=6), frozenset({"etl"}), 1),
        (timedelta(days=8), frozenset({"etl"}), 0),
        (timedelta(days=6), frozenset({"etl", "alien"}), 0),
    ],
    ids=["lately", "long ago", "known"],
)
def test_objects_of_unknown_dags_look_like_another_deployment(
    written: timedelta, known: frozenset[str], value: int
) -> None:
    """If they were written within a week: DAGs that were removed long ago left orphans like any other."""
    alien = f"prod/alien/r1/load/{TWO}"
    found = guards([LIVE, alien], [f"s3://xcoms/{LIVE}"], known=known, written=written)
    assert refused(found) == ({"unknown_dags": value} if value else {})


def test_a_component_that_was_cut_names_no_dag() -> None:
    """A DAG id too long for a key is marked there as cut: it is not an unknown DAG's."""
    cut = f"prod/very_long%7E0123abcd/r1/load/-1/return_value/{TWO}.json"
    assert refused(guards([LIVE, cut], [f"s3://xcoms/{LIVE}"])) == {}


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
    ],
)
def test_a_word_that_is_no_acceptance_is_a_usage_error(words: list[str]) -> None:
    """A mistyped guard must not be taken for one that was not needed."""
    with pytest.raises(UsageError):
        acceptances(words)
