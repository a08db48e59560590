"""Shards are disjoint and complete: what N shards find is what one run finds, whatever lies where."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.schemas.airflow_database import AirflowDatabase
from tests.services.deployment import DAY, Deployment
from tests.services.object_stores import MotoServer, new_bucket, point_to, remove_bucket
from xcomctl.errors import UsageError
from xcomctl.inventory import shard_scan
from xcomctl.inventory.fsck import check
from xcomctl.inventory.judging import Question
from xcomctl.inventory.shards import Shard, name_of
from xcomctl.policy import Pin, Policy, Rule

UUID = "6f2a1b3c-0000-4000-8000-{:012x}"
DAGS = ("etl", "train", "a.b", "report_daily")
RUNS = ("r1", "r2", "r3")

# Where an object lies: each of a layout that some backend writes, or of nobody's.
LAYOUTS: dict[str, Callable[[str, str, str], str]] = {
    "common-io": lambda dag, run, uuid: f"{dag}/{run}/load/{uuid}",
    "attempt": lambda dag, run, uuid: f"{dag}/{run}/load/ti-{uuid}/return_value.json",
    "own": lambda dag, run, uuid: f"{dag}/{run}/load/-1/return_value/{uuid}.json",
    "by run": lambda dag, run, uuid: f"{run}/load/data_{uuid}.json",
    "flat": lambda dag, run, uuid: f"data_{uuid}.csv",
    "url": lambda dag, run, uuid: f"xcom/{uuid}.json",
    "foreign": lambda dag, run, uuid: f"{dag}/notes-{uuid[-3:]}.txt",
    "loose and foreign": lambda dag, run, uuid: f"notes-{uuid[-3:]}.txt",
}
RULES = (Rule(dag="e*", older_than=10 * DAY, keep_last=0, min_size=30), Rule(older_than=30 * DAY))
POLICIES = {
    "orphans": Policy(),
    "older": Policy(older_than=30 * DAY, keep_last=0),
    "newest kept": Policy(keep_last=1),
    "one DAG": Policy(older_than=10 * DAY, keep_last=0, dag="e*"),
    "rules": Policy(rules=RULES, pins=(Pin("wanted", dag="train", run="r1"), Pin("wanted", run="r2"))),
}

dags, runs, ages = st.sampled_from(DAGS), st.sampled_from(RUNS), st.sampled_from([0, 20, 40])
objects = st.lists(st.tuples(st.sampled_from(sorted(LAYOUTS)), dags, runs), min_size=1, max_size=9)
# A row of some DAG names the object of that number, or one that is not there, in one way or another.
ways = st.sampled_from(["reference", "reference", "mention", "gone", "elsewhere", "inline", "place"])
rows = st.lists(st.tuples(dags, runs, ages, ways, st.integers(0, 8)), max_size=9)


class World:
    """One deployment after the other, each below a prefix of its own."""

    def __init__(self, folder: Path, server: MotoServer, bucket: str) -> None:
        self.folder, self.server, self.bucket = folder, server, bucket
        self.numbers = itertools.count()

    def build(
        self,
        placed: Sequence[tuple[str, str, str]],
        pushed: Sequence[tuple[str, str, int, str, int]],
        trashed: bool,
        archived: str,
    ) -> Deployment:
        """Upload, push, collect once so that there is something in the trash, push again, archive."""
        number = next(self.numbers)
        database = AirflowDatabase(f"sqlite:///{self.folder / f'{number}.db'}", "airflow-3").create()
        here = Deployment(database, self.server, self.bucket, f"w{number}")
        for dag, run in (("etl", "r0"), ("train", "r1"), ("train", "r2")):
            here.add_row(dag, run, "what every glob of a policy finds")
        keys = []
        for index, (layout, dag, run) in enumerate(placed):
            key = f"{here.prefix}/{LAYOUTS[layout](dag, run, UUID.format(number * 100 + index))}"
            keys.append(here.upload(key=key))
        if trashed:
            here.push("etl", "r0", name="kept", key=keys[0])
            here.apply(here.plan(accepted=("cross_match=0",)))
        for index, (dag, run, age, way, chosen) in enumerate(pushed):
            key = keys[chosen % len(keys)]
            value: Any = {
                "reference": here.uri(key),
                "mention": {"note": ["see", f"/mnt/{key}, please"]},
                "gone": here.uri(f"{here.prefix}/{dag}/{run}/load/{UUID.format(0xABC00 + index)}"),
                "elsewhere": f"s3://another-bucket/x/{dag}/{run}/load/{UUID.format(index)}",
                "inline": index,
                "place": f"{self.bucket}/{here.prefix}/somewhere",
            }[way]
            here.add_row(dag, run, value, name=f"k{index}", age=age * DAY)
        if archived:
            columns = {"whole": "*", "nameless": "key, value"}[archived]
            database.execute(
                f"CREATE TABLE _airflow_deleted__xcom__1 AS SELECT {columns} FROM xcom WHERE run_id = 'r3'"
            )
            database.execute("DELETE FROM xcom WHERE run_id = 'r3'")
        return here


@pytest.fixture
def world(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """Builds deployments on one bucket."""
    point_to(monkeypatch, moto_server)
    bucket = new_bucket(moto_server)
    yield World(tmp_path, moto_server, bucket)
    remove_bucket(moto_server, bucket)


def planned(
    here: Deployment, policy: Policy, keep: timedelta, shard: Shard | None
) -> tuple[Counter[Any], Counter[str]]:
    """What a plan does, and its totals."""
    plan = here.plan(policy, trash_keep=keep, shard=shard)
    names = ("action", "uri", "dag_id", "run_id", "task_id", "size", "row_key", "trash_key")
    actions = Counter(tuple(one[name] for name in names) for one in plan.actions.records())
    return actions, Counter(plan.totals)


def found(here: Deployment, shard: Shard | None) -> tuple[Counter[Any], Counter[str]]:
    """What a check finds, and its totals."""
    question = Question(min_age=timedelta(hours=-1), shard=shard)
    with check(here.sides(), question, now=datetime.now(timezone.utc)) as result:
        findings = Counter(tuple(sorted(one.items(), key=str)) for one in result.findings())
        totals = {name: getattr(result.totals(), name) for name in type(result.totals()).__slots__}
        return findings, Counter(totals)


deployments = {
    "placed": objects,
    "pushed": rows,
    "policy": st.sampled_from(sorted(POLICIES)),
    "keep": st.sampled_from([14 * DAY, -DAY]),
    "trashed": st.booleans(),
    "archived": st.sampled_from(["", "whole", "nameless"]),
    "most_asked_for": st.sampled_from([0, 1000]),
}
few, many = (
    settings(
        max_examples=number,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    for number in (2, 5)
)


@few
@given(of=st.integers(2, 3), **deployments)
def test_shards_find_together_what_one_run_finds(world: World, **deployment: Any) -> None:
    """Actions of a collection, findings of a check, and their totals; rows of any DAG name objects of any other."""
    find_together_what_one_run_finds(world, **deployment)


@pytest.mark.slow
@many
@given(of=st.integers(1, 7), **deployments)
def test_many_shards_find_together_what_one_run_finds(world: World, **deployment: Any) -> None:
    """The same of more shards, in more deployments."""
    find_together_what_one_run_finds(world, **deployment)


def find_together_what_one_run_finds(
    world: World,
    placed: list[tuple[str, str, str]],
    pushed: list[tuple[str, str, int, str, int]],
    policy: str,
    keep: timedelta,
    trashed: bool,
    archived: str,
    of: int,
    most_asked_for: int,
) -> None:
    """Build a deployment, and compare what all its shards find with what one run finds."""
    with world.build(placed, pushed, trashed, archived) as here, pytest.MonkeyPatch.context() as patched:
        patched.setattr(shard_scan, "MOST_ASKED_FOR", most_asked_for)
        for look in (partial(planned, here, POLICIES[policy], keep), partial(found, here)):
            whole = look(None)
            parts = [look(Shard(number, of)) for number in range(1, of + 1)]
            together = tuple(sum((one[part] for one in parts), Counter()) for part in (0, 1))
            assert (whole[0], +whole[1]) == (together[0], +together[1])


@given(keys=st.lists(st.text(max_size=20)), of=st.integers(1, 9))
def test_a_key_is_in_one_shard(keys: list[str], of: int) -> None:
    """Told of one key or of many; only what the tool keeps for itself is in each."""
    encodable = [key for key in keys if key.isprintable()]
    shards = [Shard(number, of) for number in range(1, of + 1)]
    taken = [shard.taken(pa.array(encodable, pa.string())).to_pylist() for shard in shards]
    assert taken == [[shard.takes_key(key) for key in encodable] for shard in shards]
    takers = [sum(column) for column in zip(*taken, strict=True)]
    assert takers == [of if key.startswith(".xcomctl/") else 1 for key in encodable]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("etl/r1/load/x", "etl"),
        ("dag_id=etl/r1/x", "etl"),
        ("caf%C3%A9/r1/x", "café"),
        ("50%/x", "50%"),
        ("/x", ""),
        ("data_6F2A1B3C-0000-4000-8000-000000000001.csv", "6f2a1b3c-0000-4000-8000-000000000001"),
        ("notes.txt", "notes.txt"),
    ],
)
def test_what_a_key_is_shared_out_by(key: str, name: str) -> None:
    """Its folder as the DAG's name would be written there; where it has none, its uuid, or all of it."""
    assert name_of(key) == name


@pytest.mark.parametrize(
    "text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/4097", "1/2/3", "a/b", "1 / 2", "\u0661/\u0662"]
)
def test_a_shard_that_is_none_is_a_usage_error(text: str) -> None:
    """It is counted from 1, and there is an end to it."""
    with pytest.raises(UsageError, match="is no share"):
        Shard.parse(text)


def test_a_shard_is_written_as_it_is_read() -> None:
    """`I/N`."""
    assert str(Shard.parse("3/8")) == "3/8"
