"""Dialects that the user describes: a home-made backend in a few lines of `xcomctl.toml`.

[[dialect]]
name = "team-etl"
reference = 'etl-s3://(?P<key>[^ ]+)'
bucket = "team-xcoms"
codec = "csv"
key = 'data_(?P<unique>[0-9a-f-]{36})[.]json'
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from xcomctl.dialects.interface import KeyPattern
from xcomctl.dialects.patterns import ReferencePattern
from xcomctl.dialects.portable import differences
from xcomctl.errors import UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_REFERENCE_GROUPS = frozenset({"bucket", "key"})
_KEY_GROUPS = frozenset({"unique", "dag_id", "run_id", "task_id", "map_index", "key"})
_NAMES_AN_XCOM = frozenset({"unique", "dag_id", "run_id", "task_id"})


@dataclass(frozen=True, slots=True)
class DialectRule:
    """One `[[dialect]]` table, as it was read.

    `reference` is a regular expression for the whole stored string, with a group `key` and, where the reference has
    it, a group `bucket`; else `bucket` is the bucket, or else the roots say it. `prefix` is a folder that the backend
    puts before the key. `key` is a regular expression for the end of an object's key, whole segments, with groups
    among `unique`, `dag_id`, `run_id`, `task_id`, `map_index`, `key`: what it matches may be collected when no row
    names it. `codec` is how the payloads are encoded, if their content and suffix do not say.
    """

    name: str
    reference: str | None = None
    bucket: str | None = None
    prefix: str = ""
    codec: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule that was checked, as the patterns that it stands for."""

    reference: ReferencePattern | None
    key: KeyPattern | None


def compile_rule(rule: DialectRule) -> CompiledRule:
    """Check a rule and turn it into patterns. Raises UsageError that names the rule and what to write."""
    if not _NAME.fullmatch(rule.name):
        raise UsageError(
            f"{rule.name!r} is no name for a dialect", hint="write lower-case letters, digits, - and _"
        )
    if rule.reference is None and rule.key is None:
        raise _wrong(rule, "has neither `reference` nor `key`", "add reference = 'my-s3://(?P<key>.+)'")
    if rule.bucket is not None and (not rule.bucket or "/" in rule.bucket or "@" in rule.bucket):
        raise _wrong(rule, f"has the bucket {rule.bucket!r}", 'write only its name: bucket = "team-xcoms"')
    return CompiledRule(_reference(rule), _key(rule))


def _reference(rule: DialectRule) -> ReferencePattern | None:
    if rule.reference is None:
        return None
    groups = _checked(rule, "reference", rule.reference, _REFERENCE_GROUPS)
    if "key" not in groups:
        raise _wrong(rule, "`reference` does not say which part is the key", "put the key into (?P<key>...)")
    folder = rule.prefix.rstrip("/")
    known = "bucket" in groups or rule.bucket is not None
    return ReferencePattern(
        rule.name,
        f"^(?:{rule.reference})$",
        "exact" if known else "configured",
        codec=rule.codec,
        bucket=rule.bucket,
        key_prefix=f"{folder}/" if folder else "",
        shows_root="bucket" if known else "no",
    )


def _key(rule: DialectRule) -> KeyPattern | None:
    if rule.key is None:
        return None
    groups = _checked(rule, "key", rule.key, _KEY_GROUPS)
    if not _NAMES_AN_XCOM & groups:
        raise _wrong(
            rule,
            "`key` has none of the groups unique, dag_id, run_id, task_id",
            "put what tells one write from another into (?P<unique>...)",
        )
    if re.search(f"(?:^|/)(?:{rule.key})$", "", re.ASCII):
        raise _wrong(rule, "`key` matches the empty key", "describe the whole name of an object")
    return KeyPattern(rule.name, f"(?:^|/)(?:{rule.key})$", codec=rule.codec)


def _checked(rule: DialectRule, field: str, pattern: str, known: Iterable[str]) -> frozenset[str]:
    for difference in differences(pattern):
        raise _wrong(
            rule, f"`{field}` cannot be used: {difference}", "see docs/dialects.md for what may be used"
        )
    groups = frozenset(re.compile(pattern, re.ASCII).groupindex)
    for unknown in sorted(groups - frozenset(known)):
        raise _wrong(rule, f"`{field}` has a group {unknown!r}", f"the groups are {', '.join(sorted(known))}")
    return groups


def _wrong(rule: DialectRule, what: str, hint: str) -> UsageError:
    return UsageError(f"dialect {rule.name!r}: {what}", hint=hint)
