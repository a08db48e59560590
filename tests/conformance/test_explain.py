"""Explanations of rows and objects on a real server, in every state that they can have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from tests.services.deployment import DAY, Deploy, Deployment
from xcomctl.airflow.interface import Source
from xcomctl.dialects.interface import Dialects
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import NotFoundError, UsageError
from xcomctl.inventory.explain import Explanation, explain
from xcomctl.inventory.judging import Question
from xcomctl.look.refs import row_or_address
from xcomctl.models import Root
from xcomctl.policy import Pin, Policy, Rule
from xcomctl.s3.interface import Store

MONTH = Policy(older_than=30 * DAY)
OPERATION = "20261122T120000Z-0a1b2c3d"


@dataclass(frozen=True)
class Parts:
    """What a REF may need."""

    source: Source
    store: Store
    dialects: Dialects
    roots: Sequence[Root]


def explained(here: Deployment, ref: str, policy: Policy = MONTH, **changes: Any) -> Explanation:
    """Explain in this process, with a grace period of a day."""
    sides = here.sides()
    if roots := changes.pop("roots", None):
        sides = replace(sides, roots=tuple(roots))
    subject = row_or_address(ref, Parts(here.source, here.store, DialectRegistry(), [Root.parse(here.root)]))
    return explain(subject, sides, Question(policy, min_age=DAY, **changes))


def about_object(here: Deployment, key: str, policy: Policy = MONTH) -> tuple[Any, ...]:
    """State, reason, number of rows, what the next collection does, whether it is known when it may go."""
    found = explained(here, f"s3://{here.bucket}/{key}", policy)
    assert found.object is not None
    return (
        found.object.state,
        found.object.reason,
        found.rows_total,
        found.next_action,
        found.not_before is not None,
    )


def soon(at: datetime | None, after: timedelta, here: Deployment) -> bool:
    """Whether a time is so long after the deployment began, give or take a few minutes."""
    return at is not None and abs(at - here.began_at - after) < timedelta(minutes=5)


def test_a_row_that_goes(deploy: Deploy) -> None:
    """The row, its run, its reference and object, and what the next collection does; every way to name it says the same."""
    here = deploy()
    key = here.push(run="old", age=40 * DAY)
    here.push(run="new", age=DAY)
    found = explained(here, "etl/old/load")
    assert found.row is not None
    assert (found.ref, found.next_action, found.not_before) == (
        "etl/old/load:return_value",
        "delete_row",
        None,
    )
    assert (found.row.verdict.expires, found.row.verdict.reason, found.row.verdict.kept_by) == (
        True,
        "expired: 40.0d > 30d",
        (),
    )
    assert (found.row.row.run_state, found.row.size) == ("success", len(here.uri(key)) + 2)
    (reference,) = found.references
    assert (reference.text, reference.dialect, reference.confidence) == (here.uri(key), "common-io", "exact")
    assert [(one.address.key, one.state, one.reason, one.size) for one in reference.objects] == [
        (key, "expired", "expired: 40.0d > 30d", 11)
    ]
    again = explained(here, found.row.row.short_id)
    assert (again.row, again.references) == (found.row, found.references)


def test_a_row_that_stays_says_until_when(deploy: Deploy) -> None:
    """By age alone it is known when it may go; beside a newest run it is not."""
    here = deploy()
    here.push(run="a", age=20 * DAY)
    here.push(run="b", age=10 * DAY)
    young, newest = explained(here, "etl/a/load"), explained(here, "etl/latest/load")
    assert (young.next_action, soon(young.not_before, 10 * DAY, here)) == (None, True)
    assert newest.row is not None
    assert (newest.next_action, newest.not_before) == (None, None)
    assert [keep.kind for keep in newest.row.verdict.kept_by] == ["keep_last", "young"]


def test_the_last_thing_that_keeps_a_row_counts(deploy: Deploy) -> None:
    """A pin that ends and a run that failed: the row may go when both are over."""
    here = deploy()
    here.push(run="bad", age=40 * DAY, state="failed")
    here.push(run="new")
    ends = here.began_at + 90 * DAY
    policy = Policy(
        rules=(Rule("etl", older_than=30 * DAY, keep_failed=60 * DAY, place="policy.toml:4"),),
        pins=(Pin("audit", run="bad", until=ends),),
    )
    found = explained(here, "etl/bad/load", policy)
    assert found.row is not None
    assert [keep.kind for keep in found.row.verdict.kept_by] == ["pinned", "keep_failed"]
    assert found.row.verdict.rule == "policy.toml:4"
    assert soon(found.row.verdict.kept_by[1].ends_at, 20 * DAY, here)
    assert found.not_before == ends


@pytest.fixture
def there(deploy: Deploy) -> Deployment:
    """A deployment in which something is kept, so that DAGs are known."""
    here = deploy()
    here.push(run="old", age=40 * DAY)
    here.push(run="new", age=2 * DAY, object_age=2 * DAY)
    return here


def test_objects_that_no_row_keeps(there: Deployment) -> None:
    """An orphaned object goes, a recent one when its grace period ends, and a foreign one never."""
    orphan, young = there.upload(age=3 * DAY), there.upload(age=DAY / 2)
    foreign = there.upload(key=f"{there.prefix}/README.txt", age=90 * DAY)
    reserved = there.upload(key=f"{there.prefix}/.xcomctl/owner.json", age=90 * DAY)
    there.settle()
    assert about_object(there, orphan) == (
        "orphaned",
        "no row references it, and it is older than the grace period",
        0,
        "delete_object",
        False,
    )
    kept = explained(there, f"s3://{there.bucket}/{orphan}", orphans=False)
    assert (kept.next_action, kept.not_before) == (None, None)
    assert about_object(there, young) == (
        "recent",
        "no row that stays references it, and it is younger than 1d",
        0,
        None,
        True,
    )
    found = explained(there, f"s3://{there.bucket}/{young}")
    assert soon(found.not_before, DAY / 2, there)
    assert about_object(there, foreign) == ("foreign", "no dialect claims its key", 0, None, False)
    assert about_object(there, reserved) == ("reserved", "xcomctl keeps it for itself", 0, None, False)


def test_an_object_is_kept_by_all_its_rows(there: Deployment) -> None:
    """The rows that reference or mention it are told with the verdict on each; it may go when the last one does."""
    key = there.push("train", "r1", age=29 * DAY)
    there.push("train", "r2", age=20 * DAY, key=key)
    there.add_row("train", "r3", f"see /mnt/{key} please", age=10 * DAY)
    there.add_row("train", "r4", 1)
    found = explained(there, f"s3://{there.bucket}/{key}")
    assert about_object(there, key) == ("live", "3 rows that stay keep it", 3, None, True)
    assert [(row.row.run_id, row.names_it, row.verdict.expires) for row in found.rows] == [
        ("r1", True, False),
        ("r2", True, False),
        ("r3", False, False),
    ]
    assert soon(found.not_before, 20 * DAY, there)


def test_an_object_of_rows_that_go(there: Deployment) -> None:
    """It goes with them, and says why they do."""
    key = there.push("train", "r1", age=40 * DAY)
    there.add_row("train", "r2", 1)
    assert about_object(there, key) == ("expired", "expired: 40.0d > 30d", 1, "delete_object", False)


def test_a_pinned_object(there: Deployment) -> None:
    """A pin keeps what no row keeps any more."""
    key = there.upload("train", "r1", age=40 * DAY)
    there.settle()
    policy = Policy(pins=(Pin("audit 4711", dag="train", place="policy.toml:9"),))
    assert about_object(there, key, policy) == (
        "live",
        "pinned: audit 4711 (policy.toml:9)",
        0,
        None,
        False,
    )


def test_objects_that_are_not_listed(there: Deployment) -> None:
    """One that the store does not have, also while a row references it, and one that the stores do not reach."""
    key = there.push("lost", "r1", key=f"{there.prefix}/lost/r1/load/{uuid4()}")
    assert about_object(there, key) == ("absent", "the store has no such key", 1, None, False)
    outside = "it is under none of the given stores, which is all that gc looks at"
    assert about_object(there, f"elsewhere/{uuid4()}") == ("outside", outside, 0, None, False)
    there.add_row("far", "r1", f"s3://aws_default@elsewhere/xcom/far/r1/load/{uuid4()}")
    found = explained(there, "far/r1/load")
    assert found.row is not None
    assert [keep.kind for keep in found.row.verdict.kept_by] == ["unresolved", "keep_last", "young"]
    assert [one.state for one in found.references[0].objects] == ["outside"]


def test_what_is_in_the_trash(there: Deployment) -> None:
    """A copy says whose it is, and comes back if a row references that one; the object itself says that it is there."""
    name = f"lost/r1/load/{uuid4()}"
    key, copy = (f"{there.prefix}/{folder}{name}" for folder in ("", f".xcomctl/trash/{OPERATION}/"))
    there.upload(key=copy)
    assert about_object(there, copy)[:4] == (
        "in_trash",
        f"operation {OPERATION} put s3://{there.bucket}/{key} into the trash",
        0,
        None,
    )
    there.push("lost", "r1", key=key)
    assert about_object(there, copy)[2:4] == (1, "restore_object")
    assert about_object(there, key)[:4] == (
        "in_trash",
        f"operation {OPERATION} put it into the trash",
        1,
        "restore_object",
    )
    there.upload(key=key)
    assert about_object(there, copy)[2:4] == (0, None)


def test_references_are_read_as_users_paste_them(there: Deployment) -> None:
    """A stored reference, with its connection, and in quotes."""
    key = there.upload(age=3 * DAY)
    for text in (there.uri(key), f'"{there.uri(key)}"'):
        found = explained(there, text)
        assert found.object is not None
        assert found.object.address.key == key


@pytest.mark.parametrize(
    ("ref", "kind", "cause"),
    [
        ("elt/old/load", NotFoundError, "there is no DAG 'elt'"),
        ("1-ffffff", NotFoundError, "no XCom has the id 1-ffffff"),
        ("nothing", UsageError, "'nothing' names no XCom and is no reference that a known backend writes"),
        ("s3://b", UsageError, "'s3://b' names no object"),
    ],
)
def test_a_name_of_nothing(there: Deployment, ref: str, kind: type[Exception], cause: str) -> None:
    """What names nothing is an error before anything is listed."""
    with pytest.raises(kind) as raised:
        explained(there, ref)
    assert str(raised.value) == cause


def test_a_document_has_all_of_it(there: Deployment) -> None:
    """The members of the document, for a row and for an object."""
    key = there.push("train", "r1", age=29 * DAY)
    of_row = explained(there, "train/r1/load").document()
    of_object = explained(there, f"s3://{there.bucket}/{key}").document()
    members = [
        "schema", "explained_at", "subject", "ref", "row", "object", "references", "references_total", "rows",
        "rows_total", "places", "places_total", "min_age", "next_gc",
    ]  # fmt: skip
    assert (list(of_row), list(of_object)) == (members, members)
    assert (of_row["schema"], of_row["subject"], of_object["subject"]) == (
        "xcomctl.explanation/1",
        "row",
        "object",
    )
    assert of_object["rows"] == [of_row["row"] | {"names_it": True}]
    assert of_row["references"][0]["objects"][0]["uri"] == of_object["object"]["uri"]
    assert of_row["next_gc"]["action"] is None
    kept = of_row["row"]["kept_by"]
    assert [(keep["kind"], keep["ends_at"] is None) for keep in kept] == [
        ("keep_last", True),
        ("young", False),
    ]
    assert datetime.fromisoformat(kept[1]["ends_at"].replace("Z", "+00:00")).tzinfo == timezone.utc
