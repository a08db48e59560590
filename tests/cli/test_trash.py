"""`xcomctl trash`: what left its place is listed, comes back, or goes for good."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from tests.cli.conversation import answered, told
from tests.services.command import Command
from tests.services.deployment import NO_WAIT, Deployment


@pytest.fixture
def collected(xcomctl: Command, here: Deployment) -> Deployment:
    """The deployment after a collection: an expired object and an orphan are in the trash."""
    assert xcomctl("gc", *here.options, *NO_WAIT, "--older-than", "30d", "--yes").code == 0
    return here


def listed(xcomctl: Command, here: Deployment) -> dict[str, dict[str, object]]:
    """What `trash ls` gives, by URI."""
    result = xcomctl("trash", "ls", *here.options, "-o", "json")
    assert result.code == 0, result.stderr
    return {entry["uri"]: entry for entry in json.loads(result.stdout)}


def test_the_trash_is_listed(xcomctl: Command, collected: Deployment) -> None:
    """Whose place it left, how large it is, since when, by which operation, and until when."""
    found = listed(xcomctl, collected)
    assert {uri.removeprefix(f"s3://{collected.bucket}/") for uri in found} == collected.trashed()
    (operation,) = json.loads(xcomctl("log", *collected.options, "-o", "json").stdout)
    for entry in found.values():
        assert list(entry) == ["uri", "size", "discarded_at", "operation", "purged_after"]
        assert (entry["size"], entry["operation"]) == (11, operation["id"])
    people = xcomctl("trash", "ls", *collected.options)
    assert (people.code, people.stdout.split()[:2]) == (0, ["URI", "SIZE"])
    assert all(uri in people.stdout for uri in found)


def test_objects_are_restored_by_name_dag_or_operation(xcomctl: Command, collected: Deployment) -> None:
    """Only what was asked for leaves the trash."""
    before = collected.keys()
    found = listed(xcomctl, collected)
    old = next(uri for uri in found if "/old/" in uri)
    gone = next(uri for uri in found if "/gone/" in uri)
    one = xcomctl("trash", "restore", old, *collected.options)
    assert (one.code, one.stdout) == (0, "1 object put back\n")
    assert list(listed(xcomctl, collected)) == [gone]
    operation = str(found[gone]["operation"])
    other = xcomctl(
        "trash", "restore", "--operation", operation, "--dag", "e*", *collected.options, "-o", "json"
    )
    document = json.loads(other.stdout)
    assert (other.code, document["objects"]["restored"], listed(xcomctl, collected)) == (0, 1, {})
    assert len(collected.keys()) == len(before) + 2


def test_what_is_not_in_the_trash_cannot_be_restored(xcomctl: Command, collected: Deployment) -> None:
    """A wrong name restores nothing at all, and neither does no name."""
    before = collected.state()
    found = list(listed(xcomctl, collected))
    wrong = f"s3://{collected.bucket}/xcom/nothing"
    for arguments, code, line in (
        ((found[0], wrong), 1, f"error: {wrong} is not in the trash"),
        (("--dag", "nobody"), 1, "error: what was asked for is not in the trash"),
        ((), 2, "error: restore what?"),
        (("s3://",), 2, "error: 's3://' is not an S3 address"),
    ):
        result = xcomctl("trash", "restore", *arguments, *collected.options)
        assert (result.code, told(result)[0]) == (code, line)
    assert collected.state() == before


def test_a_place_that_is_taken_is_told(xcomctl: Command, collected: Deployment) -> None:
    """What is there now stays, and so does what is in the trash: done in part."""
    uri = next(iter(listed(xcomctl, collected)))
    key = uri.removeprefix(f"s3://{collected.bucket}/")
    collected.client.put_object(Bucket=collected.bucket, Key=key, Body=b"a new value")
    result = xcomctl("trash", "restore", uri, *collected.options)
    assert (result.code, told(result)[0]) == (
        3,
        "error: not all that was asked for: the trash still has 1 object of it",
    )
    assert result.stdout == "1 object in whose place is another one\n"
    assert uri in listed(xcomctl, collected)


def test_a_purge_needs_a_yes(xcomctl: Command, collected: Deployment) -> None:
    """Off a terminal it asks for --yes, on one it asks; younger things stay whatever is said."""
    young = xcomctl("trash", "purge", *collected.options, "--yes")
    assert (young.code, told(young)) == (0, ["note: nothing in the trash is older than 14d"])
    asked = xcomctl("trash", "purge", "--older-than", "0s", *collected.options)
    assert (asked.code, told(asked)) == (
        2,
        [
            "error: nothing was purged: 2 objects (22 B) would go, and there is no terminal to ask at",
            "hint: add --yes",
        ],
    )
    code, shown = answered(xcomctl, "n", "trash", "purge", "--older-than", "0s", *collected.options)
    assert (code, "Delete 2 objects (22 B) for good? [y/N]" in shown) == (0, True)
    assert len(collected.trashed()) == 2


def test_a_purge_restores_what_a_row_references(xcomctl: Command, collected: Deployment) -> None:
    """All rows are read before: the object of a row that came back comes back, too."""
    back = sorted(collected.trashed())[0]
    collected.push("back", key=back)
    result = xcomctl("trash", "purge", "--older-than", "0s", "--yes", *collected.options)
    assert (result.code, result.stdout.splitlines()) == (
        0,
        ["1 object put back", "1 object deleted for good"],
    )
    assert (collected.trashed(), {back} <= collected.keys()) == (set(), True)
    collected.database.execute("DELETE FROM xcom WHERE dag_id = 'lost'")
    assert collected.dangling() == set()


def test_a_purge_leaves_what_has_lost_its_place(xcomctl: Command, collected: Deployment) -> None:
    """A row names a key that was written again: the older object stays in the trash, which is no failure."""
    back = sorted(collected.trashed())[0]
    collected.push("back", key=back)
    collected.client.put_object(Bucket=collected.bucket, Key=back, Body=b"a new value")
    result = xcomctl("trash", "purge", "--older-than", "0s", "--yes", *collected.options)
    assert (result.code, told(result)) == (
        0,
        ["note: the trash keeps 1 object whose key a row names, with another object in its place"],
    )
    assert result.stdout.splitlines() == [
        "1 object in whose place is another one",
        "1 object deleted for good",
    ]
    assert collected.trashed() == {back}


@pytest.mark.parametrize(
    "verb", [("trash", "ls"), ("trash", "restore", f"s3://b/{uuid4()}"), ("trash", "purge")]
)
def test_the_trash_is_in_a_store(xcomctl: Command, here: Deployment, verb: tuple[str, ...]) -> None:
    """Without a store there is nothing to look at."""
    result = xcomctl(*verb, "--db", here.database.url)
    assert (result.code, told(result)[0]) == (2, "error: no store is configured, and the trash is in stores")
