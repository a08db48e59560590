"""Guards that ask whether another deployment wrote the orphans: DAGs, runs, kinds of keys that the database cannot know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from tests.services.deployment import DAY, Deploy, Deployment, deleted_keys
from xcomctl.dialects.configured import DialectRule
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.gc.collect import Scope, plan_collection
from xcomctl.gc.freshness import extent_of
from xcomctl.gc.plan import Plan
from xcomctl.inventory.shards import Shard
from xcomctl.policy import Policy


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def here(request: pytest.FixtureRequest, deploy: Deploy) -> Deployment:
    """A deployment whose database has the runs of the last 30 days: one DAG of each day, one of each month."""
    return with_a_month_of_runs(deploy(request.param))


@pytest.fixture
def ours(deploy: Deploy) -> Deployment:
    """The same on SQLite."""
    return with_a_month_of_runs(deploy())


def with_a_month_of_runs(made: Deployment) -> Deployment:
    """The deployment, with these runs."""
    for day in (0, 10, 20, 30):
        made.push("daily", f"day{day}", age=day * DAY)
    made.push("monthly", "month0", age=20 * DAY)
    return made


def upload(here: Deployment, dag: str, ages: Sequence[int], *, run: str = "other") -> list[str]:
    """Objects of a DAG without a row, each of a run of its own, so many days old."""
    keys = [here.upload(dag, f"{run}{number}", age=age * DAY) for number, age in enumerate(ages)]
    here.settle()
    return keys


def refusals(plan: Plan) -> dict[str, float | str]:
    """The value of each guard that refuses."""
    return {guard.id: guard.value for guard in plan.refusals}


def collect(here: Deployment, plan: Plan) -> None:
    """Apply the plan as the command does, which notes what it collected."""
    here.apply(plan, extent=extent_of(plan))


def test_the_orphans_of_a_database_that_was_cleaned_for_a_year_pass(here: Deployment) -> None:
    """`airflow db clean` took their runs, all older than the oldest that is left of their DAG."""
    keys = [*upload(here, "daily", range(32, 80)), *upload(here, "monthly", range(21, 60), run="m")]
    plan = here.plan()
    assert (refusals(plan), deleted_keys(plan)) == ({}, set(keys))


def test_runs_that_the_database_should_have_are_refused(here: Deployment) -> None:
    """More than 20 orphans of runs that it does not have, though it has an older one of their DAG; told by DAG."""
    upload(here, "daily", range(1, 25))
    upload(here, "monthly", range(8, 20), run="m")
    upload(here, "daily", range(40, 60), run="cleaned")
    plan = here.plan()
    assert refusals(plan) == {"unknown_runs": 36}
    (guard,) = plan.refusals
    assert guard.cause.startswith(
        "36 orphaned objects are of runs that this database does not have, though it has older ones (daily, monthly):"
    )
    assert [(group.name, group.objects, group.size, group.runs) for group in guard.groups] == [
        ("daily", 24, 264, 24),
        ("monthly", 12, 132, 12),
    ]
    days = [
        (here.began_at - at) // DAY for group in guard.groups for at in (group.oldest_at, group.newest_at)
    ]
    assert days == [24, 1, 19, 8]
    assert refusals(here.plan(accepted=["unknown_runs=36"])) == {}
    assert set(refusals(here.plan(accepted=["unknown_runs=35"]))) == {"unknown_runs"}


@pytest.mark.parametrize(("number", "passes"), [(20, True), (21, False)])
def test_a_few_runs_may_have_been_deleted(ours: Deployment, number: int, passes: bool) -> None:
    """By hand, in the web interface: 20 objects of them are no other deployment."""
    upload(ours, "daily", [5] * number)
    assert refusals(ours.plan()) == ({} if passes else {"unknown_runs": 21})


def test_orphans_of_runs_that_are_there_pass(ours: Deployment) -> None:
    """Retries leave them, also of runs without any XCom left."""
    for number in range(30):
        ours.database.add_run("daily", f"empty{number}", at=ours.began_at - timedelta(hours=2 + number))
        ours.upload("daily", f"empty{number}")
        ours.upload("daily", "day0")
    plan = ours.plan()
    assert (refusals(plan), len(deleted_keys(plan))) == ({}, 60)


def test_a_dag_that_runs_elsewhere_alone_is_refused(here: Deployment) -> None:
    """Its file is shared, so that it is known; its objects are younger than the oldest run that any cleaning left."""
    here.database.execute("DELETE FROM xcom WHERE dag_id = 'monthly'")
    with here.database.connection() as connection:
        connection.exec_driver_sql("DELETE FROM task_instance WHERE dag_id = 'monthly'")
        connection.exec_driver_sql("DELETE FROM dag_run WHERE dag_id = 'monthly'")
        connection.exec_driver_sql("INSERT INTO dag VALUES ('monthly')")
    upload(here, "monthly", range(1, 21))
    assert refusals(here.plan()) == {"unknown_runs": 21}


def test_dags_that_the_database_never_knew_are_refused(ours: Deployment) -> None:
    """Whenever they wrote last: told by DAG, with numbers and dates."""
    upload(ours, "alien", [8] * 3)
    upload(ours, "ancient", [700, 900])
    plan = ours.plan()
    assert refusals(plan) == {"unknown_dags": 5}
    (guard,) = plan.refusals
    assert guard.cause.startswith(
        "5 orphaned objects are of DAGs that this database never knew (alien, ancient):"
    )
    assert [(group.name, group.objects, group.runs) for group in guard.groups] == [
        ("alien", 3, 3),
        ("ancient", 2, 2),
    ]


@pytest.mark.parametrize("used", [False, True])
def test_keys_without_a_dag_are_refused_where_no_row_uses_their_dialect(ours: Deployment, used: bool) -> None:
    """Whose they are only the rows can tell: a backend that none of them is of is another deployment's."""
    for _ in range(3):
        ours.upload(key=f"{ours.prefix}/data_{uuid4()}.csv")
    if used:
        key = ours.upload(key=f"{ours.prefix}/data_{uuid4()}.json")
        ours.add_row("daily", "day0", f"xcom_s3://{key.rpartition('/')[2]}", name="flat")
    plan = ours.plan()
    assert refusals(plan) == ({} if used else {"unused_dialects": 3})
    assert [(group.name, group.objects) for guard in plan.refusals for group in guard.groups] == (
        [] if used else [("xcom-s3", 3)]
    )


OWN = DialectRule("own", key="(?P<dag_id>[^/]+)/(?P<run_id>[^/]+)/(?P<unique>[0-9a-f-]{36})[.]own")


def knowing(here: Deployment, *rules: DialectRule, **scope: Any) -> Plan:
    """A plan that knows more layouts."""
    return plan_collection(
        replace(here.sides(), dialects=DialectRegistry(rules)),
        Scope(**{"min_age": timedelta(hours=-1), **scope}),
        now=datetime.now(timezone.utc),
    )


def test_a_layout_that_spells_ids_in_its_own_way_names_nothing(ours: Deployment) -> None:
    """Where the keys of live objects do not have the ids of their rows, those of orphans say nothing."""
    for number in range(30):
        key = ours.upload(key=f"{ours.prefix}/dag-daily/run-{number}/{uuid4()}.own")
        if number < 5:
            ours.push("daily", f"r{number}", key=key)
    plan = knowing(ours, OWN)
    assert (refusals(plan), len(deleted_keys(plan))) == ({}, 25)


def test_what_lay_there_when_a_root_was_collected_is_known(ours: Deployment) -> None:
    """It was referenced then. A DAG that is deleted later is no stranger; one that has written since is."""
    ours.upload("daily", "day0", age=5 * DAY)
    objects = {ours.push("retired", f"r{number}", object_age=3 * DAY) for number in range(4)}
    ours.push("daily", "newest")
    ours.settle()
    collect(ours, ours.plan(min_age=2 * DAY))
    for table in ("xcom", "task_instance", "dag_run"):
        ours.database.execute(f"DELETE FROM {table} WHERE dag_id = 'retired'")
    plan = ours.plan()
    assert (refusals(plan), deleted_keys(plan)) == ({}, objects)
    upload(ours, "alien", [1])
    assert refusals(ours.plan()) == {"unknown_dags": 1}


def test_what_another_layout_claims_was_not_collected_before(ours: Deployment) -> None:
    """A dialect that was configured since makes a first collection of it, whatever the age of the objects."""
    ours.upload("daily", "day0", age=5 * DAY)
    ours.upload(key=f"{ours.prefix}/alien/r1/{uuid4()}.own", age=4 * DAY)
    ours.settle()
    collect(ours, ours.plan(min_age=2 * DAY))
    assert refusals(knowing(ours)) == {}
    assert refusals(knowing(ours, OWN)) == {"unknown_dags": 1}


def test_shares_know_what_they_collected_themselves(ours: Deployment) -> None:
    """And what was collected without shares; cut in another way, it is a first collection again."""
    keys = {number: ours.upload("daily", "day0", age=5 * DAY) for number in range(3)}
    ours.settle()
    (share,) = [one for one in (Shard(1, 2), Shard(2, 2)) if one.takes("daily")]
    plan = ours.plan(min_age=2 * DAY, shard=share)
    assert deleted_keys(plan) == set(keys.values())
    collect(ours, plan)
    name = next(name for name in map("alien{}".format, range(99)) if share.takes(name))
    upload(ours, name, [3])
    assert [refusals(ours.plan(shard=one)) for one in (share, None)] == [{}, {"unknown_dags": 1}]
    other = next(Shard(number, 3) for number in (1, 2, 3) if Shard(number, 3).takes(name))
    assert refusals(ours.plan(shard=other)) == {"unknown_dags": 1}


def of_one_dag(here: Deployment) -> Plan:
    """A collection of one DAG."""
    return here.plan(Policy(dag="daily"), min_age=timedelta(0))


def of_rows_alone(here: Deployment) -> Plan:
    """A collection without orphans."""
    return here.plan(Policy(older_than=25 * DAY, keep_last=0), min_age=timedelta(0), orphans=False)


@pytest.mark.parametrize("partly", [of_one_dag, of_rows_alone])
def test_a_collection_of_a_part_makes_nothing_known(ours: Deployment, partly: Any) -> None:
    """What it did not look at may be anybody's."""
    upload(ours, "alien", [40])
    ours.upload("daily", "day0")
    collect(ours, partly(ours))
    assert refusals(ours.plan()) == {"unknown_dags": 1}
