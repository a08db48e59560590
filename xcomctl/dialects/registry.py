"""All dialects of a run: the built-in ones, and those that the configuration describes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from xcomctl.dialects import astronomer, common_io, dict_forms, own, s3_url, values, xcom_s3
from xcomctl.dialects.configured import DialectRule, compile_rule
from xcomctl.dialects.documents import reference_in
from xcomctl.dialects.interface import Claim, KeyPattern, Reference, Shortcuts, certainty, is_unclaimable
from xcomctl.dialects.patterns import ReferencePattern, addresses_of, codec_of_key, compiled, may_name_object
from xcomctl.dialects.texts import (
    TRACES,
    Text,
    embedded_in,
    may_be_reference,
    may_hold_reference,
    parts_of,
    strings_of_pickle,
)
from xcomctl.errors import UsageError
from xcomctl.models import ObjectAddress, Root

FAMILIES = (
    # First, because what it asks for is the narrowest: nothing but a compression may follow the uuid. The layout of
    # our own backend would take such a key for one of its own where the ids are numbers.
    common_io.FAMILY,
    own.FAMILY,
    common_io.ATTEMPTS,
    xcom_s3.FAMILY,
    astronomer.FAMILY,
    dict_forms.FAMILY,
    s3_url.FAMILY,
)
"""The built-in dialects, in the order in which they are asked: the first that reads a text, or claims a key, has it."""

BUILT_IN = tuple(name for family in FAMILIES for name in family.names)
"""Names of the built-in dialects."""

_REFERENCES = tuple(pattern for family in FAMILIES for pattern in family.references)
_DOCUMENTS = tuple(pattern for family in FAMILIES for pattern in family.documents)
_KEYS = tuple(pattern for family in FAMILIES for pattern in family.keys)

_MAP_INDEX = re.compile(r"-?[0-9]{1,9}")


class DialectRegistry:
    """Answers the questions of `interface.Dialects`. Rules of the configuration are asked before the built-ins.

    Raises UsageError for a rule that is wrong, or that has the name of another dialect.
    """

    def __init__(self, rules: Sequence[DialectRule] = ()) -> None:
        names = [rule.name for rule in rules]
        for position, name in enumerate(names):
            if name in BUILT_IN or name in names[:position]:
                raise UsageError(
                    f"dialect {name!r} is defined twice"
                    if name not in BUILT_IN
                    else f"dialect {name!r} is built in",
                    hint="give the [[dialect]] table another name",
                )
        described = [compile_rule(rule) for rule in rules]
        self._names = [*names, *BUILT_IN]
        references = [*(rule.reference for rule in described if rule.reference is not None), *_REFERENCES]
        self._references = [(pattern, compiled(pattern.pattern)) for pattern in references]
        self._keys = (*(rule.key for rule in described if rule.key is not None), *_KEYS)
        self._compiled_keys = [(pattern, compiled(pattern.pattern)) for pattern in self._keys]
        # A rule may ask for any string: then no value can be passed over unread.
        self._built_ins_only = not any(rule.reference for rule in described)

    def names(self) -> list[str]:
        """Names of the dialects, in the order in which they are asked."""
        return list(self._names)

    def references(self, raw: bytes | None, roots: Sequence[Root]) -> list[Reference]:
        """Every reference in a stored value, in the order in which they stand there, each once.

        Those in pickles, in broken bytes and inside of longer texts are ambiguous. Never fails.
        """
        if raw is None or (self._built_ins_only and not may_hold_reference(raw)):
            return []
        match values.decode(raw):
            case values.Json(value):
                return _each_once(self._in_parts(parts_of(value), roots))
            case values.Pickled(payload):
                parts = (part for text in strings_of_pickle(payload) for part in parts_of(text))
                return _each_once(_doubted(self._in_parts(parts, roots)))
            case values.Opaque(payload):
                return _each_once(self._in_text(values.search_text(payload), roots))
            case _:
                return []

    def reference_of(self, text: str, roots: Sequence[Root]) -> Reference | None:
        """The likeliest reading of one reference: a string as it is stored, its JSON, or the JSON object of a reference."""
        for layer in values.layers(text):
            found = None
            if isinstance(layer, str):
                found = self._of_string(layer, roots)
            elif isinstance(layer, dict):
                found = reference_in(layer, _DOCUMENTS, roots)
            if found is not None:
                return found
        return None

    def claim(self, key: str) -> Claim | None:
        """The first dialect's claim on a key; None for what no backend is known to write, and for what is UNCLAIMABLE."""
        if is_unclaimable(key):
            return None
        for pattern, regex in self._compiled_keys:
            if match := regex.search(key):
                return _claim(pattern, match.groupdict(), key)
        return None

    def key_patterns(self) -> Sequence[KeyPattern]:
        """The patterns behind `claim`, in order. They do not look for what is UNCLAIMABLE: leave that out before."""
        return self._keys

    def shortcuts(self) -> Shortcuts:
        """What may be told of values and keys without decoding them."""
        if not self._built_ins_only:
            return Shortcuts((), (), None, frozenset(BUILT_IN))
        return Shortcuts(
            # Of all patterns the first ones: what they match is not looked at by any other.
            tuple(
                (pattern.dialect, pattern.pattern)
                for family in (common_io.FAMILY, common_io.ATTEMPTS)
                for pattern in family.references
            ),
            tuple((own.NAME, pattern) for pattern in own.WHOLE_VALUES),
            tuple(trace.decode() for trace in TRACES),
            frozenset(BUILT_IN),
        )

    def _in_parts(self, parts: Iterable[Text | dict[str, Any]], roots: Sequence[Root]) -> Iterator[Reference]:
        settled: set[str] = set()
        for part in parts:
            if isinstance(part, dict):
                found = reference_in(part, _DOCUMENTS, roots)
                if found is not None:
                    if found.confidence == "exact" and "://" in found.text:
                        settled.add(found.text)
                    yield found
                continue
            if part.text in settled or (self._built_ins_only and not may_be_reference(part.text)):
                continue
            found = self._of_string(part.text, roots)
            if found is not None:
                yield found
            # An address with text behind it reads as one long key: take it for a text as well.
            if not part.opened and (found is None or found.confidence == "ambiguous"):
                yield from self._in_text(part.text, roots)

    def _in_text(self, text: str, roots: Sequence[Root]) -> Iterator[Reference]:
        found = (self._of_string(candidate, roots) for candidate in embedded_in(text))
        return _doubted(reference for reference in found if reference is not None)

    def _of_string(self, text: str, roots: Sequence[Root]) -> Reference | None:
        """The first pattern's reading, with the addresses of all others behind its own."""
        if not may_name_object(text):
            return None
        first: Reference | None = None
        addresses: dict[ObjectAddress, None] = {}
        for pattern, regex in self._references:
            match = regex.match(text)
            groups = match.groupdict() if match else {}
            if not groups.get("key"):
                continue
            found = addresses_of(
                groups.get("bucket") or pattern.bucket, pattern.key_prefix + groups["key"], roots
            )
            if not _counts(pattern, found, roots):
                continue
            addresses.update(dict.fromkeys(found))
            if first is None:
                first = Reference(
                    pattern.dialect,
                    text,
                    (),
                    pattern.confidence,
                    codec=pattern.codec or codec_of_key(groups["key"]),
                    root=_root(pattern, groups),
                )
            if pattern.confidence == "exact" and pattern.only_in == "anywhere":
                # It says itself where the object is: no other reading can add to that.
                break
        return None if first is None else replace(first, addresses=tuple(addresses))


def _counts(pattern: ReferencePattern, addresses: Sequence[ObjectAddress], roots: Sequence[Root]) -> bool:
    match pattern.only_in:
        case "bucket of a root":
            return any(root.bucket == address.bucket for root in roots for address in addresses)
        case "root":
            return any(root.contains(address) for root in roots for address in addresses)
        case _:
            return True


def _root(pattern: ReferencePattern, groups: dict[str, str | None]) -> Root | None:
    bucket = groups.get("bucket") or pattern.bucket
    if bucket is None or pattern.shows_root == "no":
        return None
    return Root(bucket, (groups["prefix"] or "") if pattern.shows_root == "prefix" else pattern.key_prefix)


def _doubted(references: Iterable[Reference]) -> Iterator[Reference]:
    """The same references, none of them more than ambiguous."""
    return (replace(reference, confidence="ambiguous") for reference in references)


def _each_once(references: Iterable[Reference]) -> list[Reference]:
    """One reference per set of objects, the most certain one, in the place where the first stood."""
    kept: dict[object, Reference] = {}
    for reference in references:
        identity = reference.addresses or reference.text
        known = kept.get(identity)
        if known is None or certainty(reference) > certainty(known):
            kept[identity] = reference
    return list(kept.values())


def _claim(pattern: KeyPattern, groups: dict[str, str | None], key: str) -> Claim:
    def coordinate(name: str) -> str | None:
        text = groups.get(name)
        if text is None or not pattern.quoted:
            return text
        if pattern.dialect == own.NAME and own.CUT_OR_ABSENT in text:
            return None
        return unquote(text, errors="replace")

    map_index = groups.get("map_index")
    return Claim(
        pattern.dialect,
        groups.get("unique"),
        dag_id=coordinate("dag_id"),
        run_id=coordinate("run_id"),
        task_id=coordinate("task_id"),
        map_index=int(map_index) if map_index and _MAP_INDEX.fullmatch(map_index) else None,
        key=coordinate("key"),
        codec=pattern.codec or codec_of_key(key),
    )
