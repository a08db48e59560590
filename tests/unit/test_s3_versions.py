"""Stores that keep versions, and tell of them in pages, in part, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from tests.services.scripted_store import Answer, Asked
from tests.unit.test_s3_faults import _credentials, error, store_of
from xcomctl.errors import StoreError
from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import DeleteOutcome, ObjectVersion

__all__ = ["_credentials"]

AT = datetime(2026, 11, 1, 6, 0, 0, tzinfo=timezone.utc)
ADDRESS = ObjectAddress("bucket", "key")
ENABLED = Answer(b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")


def entry(version_id: str, *, key: str = "key", marker: bool = False, latest: bool = False) -> str:
    """One version or marker of a page."""
    name = "DeleteMarker" if marker else "Version"
    described = "" if marker else "<Size>5</Size><ETag>&quot;abc&quot;</ETag>"
    return (
        f"<{name}><Key>{key}</Key><VersionId>{version_id}</VersionId><IsLatest>{str(latest).lower()}</IsLatest>"
        f"<LastModified>2026-11-01T06:00:00.000Z</LastModified>{described}</{name}>"
    )


def page(*entries: str, after: tuple[str, str] | None = None, truncated: bool | None = None) -> Answer:
    """One page of a list of versions."""
    more = str(after is not None if truncated is None else truncated).lower()
    marker = (
        ""
        if after is None
        else f"<NextKeyMarker>{after[0]}</NextKeyMarker><NextVersionIdMarker>{after[1]}</NextVersionIdMarker>"
    )
    return Answer(
        f"<ListVersionsResult><IsTruncated>{more}</IsTruncated>{marker}{''.join(entries)}</ListVersionsResult>".encode()
    )


def told(script: Callable[[Asked], Answer]) -> list[str]:
    """Ids of the versions that a store with this script tells."""
    with store_of(lambda asked: ENABLED if "versioning" in asked.query else script(asked)) as (store, _):
        return [version.version_id for version in store.versions(ADDRESS)]


def test_pages_of_versions_are_followed() -> None:
    """Each page's marker asks for the next one, until longer keys begin; newest first, a marker before what it hides."""
    pages = {
        "": page(entry("5"), entry("6", marker=True, latest=True), after=("key", "5")),
        "5": page(entry("4"), entry("3", key="key2"), after=("key2", "3")),
    }
    assert told(lambda asked: pages[asked.query.get("version-id-marker", "")]) == ["6", "5", "4"]


@pytest.mark.parametrize(
    "pages",
    [
        {"": page(entry("1"), truncated=True)},
        {"": page(entry("1"), after=("key", "1")), "1": page(entry("1"), after=("key", "1"))},
    ],
    ids=["no marker", "same marker"],
)
def test_half_a_list_of_versions_is_an_error(pages: dict[str, Answer]) -> None:
    """A list that is not whole could hide the version that is to be kept."""
    with pytest.raises(StoreError, match=re.escape("incomplete list of the versions of s3://bucket/key")):
        told(lambda asked: pages[asked.query.get("version-id-marker", "")])


def test_who_may_not_list_versions_is_told() -> None:
    """A missing right is an error, not an empty list, and names what to grant on the bucket."""
    with pytest.raises(StoreError, match="is denied") as caught:
        told(lambda asked: error("AccessDenied", 403))
    assert "grant s3:ListBucketVersions on arn:aws:s3:::bucket," in str(caught.value.hint)


def test_every_version_has_its_own_outcome() -> None:
    """Locked versions are failures with their cause, missing ones gone, and a silent answer confirms nothing."""
    versions = [ObjectVersion(ADDRESS, str(number), False, False, 5, "abc", AT) for number in range(6)]
    answer = Answer(
        b"<DeleteResult>"
        b"<Deleted><Key>key</Key><VersionId>0</VersionId></Deleted>"
        b"<Error><Key>key</Key><VersionId>1</VersionId><Code>AccessDenied</Code>"
        b"<Message>object is WORM protected</Message></Error>"
        b"<Error><Key>key</Key><VersionId>2</VersionId><Code>NoSuchVersion</Code></Error>"
        b"<Deleted><Key>key</Key><DeleteMarker>true</DeleteMarker>"
        b"<DeleteMarkerVersionId>3</DeleteMarkerVersionId></Deleted>"
        b"<Deleted><Key>key</Key></Deleted>"
        b"<Error><Key>key</Key><VersionId>5</VersionId><Code>SlowDown</Code></Error>"
        b"</DeleteResult>"
    )
    again = Answer(b"<DeleteResult><Deleted><Key>key</Key><VersionId>5</VersionId></Deleted></DeleteResult>")
    answers = iter([answer, again])
    with store_of(lambda asked: next(answers)) as (store, server):
        outcomes = store.delete_versions(versions)
    assert outcomes == [
        DeleteOutcome(ADDRESS, "deleted"),
        DeleteOutcome(ADDRESS, "failed", "AccessDenied: object is WORM protected"),
        DeleteOutcome(ADDRESS, "gone"),
        DeleteOutcome(ADDRESS, "deleted"),
        DeleteOutcome(ADDRESS, "failed", "the store did not confirm it"),
        DeleteOutcome(ADDRESS, "deleted"),
    ]
    assert [asked.body.count(b"<VersionId>") for asked in server.asked] == [6, 1]
    assert not any("x-amz-bypass-governance-retention" in asked.headers for asked in server.asked)
