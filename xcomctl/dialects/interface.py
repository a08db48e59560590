"""Port to the dialects: what a stored value points to, and which keys a backend writes.

Two questions, two strictnesses. "What may this value point to?" takes the union of all readings: a reading too
many keeps an object. "Is this key one that a backend wrote?" must be exact: a reading too many offers somebody
else's object for deletion.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from xcomctl.models import ObjectAddress, Root

Confidence = Literal["exact", "configured", "ambiguous"]
"""exact: bucket and key are in the reference. configured: the bucket comes from the roots that were given.
ambiguous: it may be the user's own data or another layout; it keeps an object, and is never a reason to delete one."""


UNCLAIMABLE = r"(?:^|/)(?:\.xcomctl|\.|\.\.)(?:/|$)"
"""Keys that no dialect may claim: our own folder, and segments that some programs take for another key."""

# Python's `$` also matches before a last newline, RE2's does not.
_UNCLAIMABLE = re.compile(UNCLAIMABLE.replace("$", r"\Z"))


def is_unclaimable(key: str) -> bool:
    """Whether it is a key that no dialect may claim."""
    return _UNCLAIMABLE.search(key) is not None


@dataclass(frozen=True, slots=True)
class Reference:
    """A value (or a part of one) that points to an object.

    `addresses` are all objects that it may mean, the likeliest first; empty where no root says which bucket.
    `codec`, `size` and `sha256` are what the reference itself says of the payload, else None.
    """

    dialect: str
    text: str
    addresses: tuple[ObjectAddress, ...]
    confidence: Confidence
    codec: str | None = None
    size: int | None = None
    sha256: str | None = None
    root: Root | None = None
    """The root under which the reference's backend must write, where the reference shows it: a proposal for `--store`."""


def certainty(reference: Reference) -> int:
    """Orders references: the higher, the surer what is meant."""
    return ("ambiguous", "configured", "exact").index(reference.confidence)


@dataclass(frozen=True, slots=True)
class Claim:
    """A dialect's word that a backend of its family wrote this key.

    `unique` is the part of the key that no other write has (its uuid; None where the layout has none, so that only
    the whole key is unique). Coordinates are None where the layout does not have them.
    """

    dialect: str
    unique: str | None
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    key: str | None = None
    codec: str | None = None


@dataclass(frozen=True, slots=True)
class KeyPattern:
    """Which keys a dialect claims, as data: `pattern` is understood alike by Python's `re.search` and by RE2.

    Its named groups are any of `unique`, `dag_id`, `run_id`, `task_id`, `map_index`, `key`; it ends with `$`.
    `quoted` tells that the groups are percent-encoded.
    """

    dialect: str
    pattern: str
    quoted: bool = False
    codec: str | None = None


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """What holds for values and keys that were not decoded: for reading very many of them in SQL.

    `references` are names of dialects with patterns, in order. A stored value that is one JSON string (or a JSON string
    that holds one, and so on) of printable ASCII without blanks, quotes and backslashes, which the first of these
    matches, holds one reference: this text, exact, `s3://[connection@]bucket/key`. `documents` are names of dialects with
    patterns of whole values, which are printable ASCII without backslashes: such a value holds one reference, its group
    `uri`, exact, `s3://bucket/key`, whose last segment begins with a uuid; and, beside uuids in the rest of the key, one
    more that counts as a uuid, its group `sha256`. A value in which none of `traces`
    occurs holds none; None where any value may hold one. `bounded` are the dialects in whose keys nothing that a uuid
    could be made of touches the unique part, so that who looks for uuids finds it.
    """

    references: tuple[tuple[str, str], ...]
    documents: tuple[tuple[str, str], ...]
    traces: tuple[str, ...] | None
    bounded: frozenset[str]


class Dialects(Protocol):
    """All dialects that are known in this run, built-in ones and those from the configuration."""

    def names(self) -> list[str]:
        """Names of the dialects, in the order in which they are asked."""

    def references(self, raw: bytes | None, roots: Sequence[Root]) -> list[Reference]:
        """Every reference in a stored value, also nested in lists and dicts and under several layers of JSON.

        Pickles are searched as bytes, never loaded. `roots` give the bucket where the reference has none.
        """

    def reference_of(self, text: str, roots: Sequence[Root]) -> Reference | None:
        """The likeliest reading of one reference string, as a user pastes it."""

    def claim(self, key: str) -> Claim | None:
        """The first dialect's claim on a key (all of it below the bucket), None if no backend is known to write it."""

    def key_patterns(self) -> Sequence[KeyPattern]:
        """The patterns behind `claim`, in order, for doing the same in SQL."""

    def shortcuts(self) -> Shortcuts:
        """What may be told of values and keys without decoding them."""
