"""The policy file, `policy.toml`: read, checked, and every fault told with its line and what to write instead."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from xcomctl.errors import UsageError
from xcomctl.policy import Pin, Policy, Rule
from xcomctl.policy.file import values
from xcomctl.policy.file.values import WrongValueError
from xcomctl.toml_file import TomlFile, read_toml


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy file, checked. None is "not set"."""

    path: Path
    digest: str
    """Hex SHA-256 of its bytes."""
    policy: Policy
    trash_keep: timedelta | None = None
    orphans: bool | None = None
    """Whether orphaned objects are collected."""
    min_age: timedelta | None = None
    """Grace period of unreferenced objects."""
    max_share: float | None = None
    """Share of the objects, above 0 and up to 1, beyond which orphans are not deleted without consent."""
    backup_to: str | None = None
    """`s3://bucket/prefix` or a folder: where rows and objects are saved before they expire."""


def load_policy(path: Path) -> PolicyFile:
    """Read and check a policy file.

    Raises UsageError with file and line: not readable, not TOML, an unknown key, a wrong value, two rules of which
    neither is the more specific one, a rule that would keep nothing of a DAG.
    """
    file = read_toml(path, option="--policy", purpose="a policy file", example='older_than = "30d"')
    reader = _Reader(file)
    sections = {name: reader.table(name, keys) for name, keys in _SECTIONS.items()}
    rules = reader.rules(sections["defaults"])
    policy = Policy(rules=rules, pins=reader.pins())
    return PolicyFile(
        path=path,
        digest=hashlib.sha256(file.content).hexdigest(),
        policy=policy,
        trash_keep=sections["trash"].get("keep"),
        orphans=sections["orphans"].get("collect"),
        min_age=sections["orphans"].get("min_age"),
        max_share=sections["orphans"].get("max_share"),
        backup_to=sections["backup"].get("to"),
    )


_Keys = Mapping[str, Callable[[Any], Any]]

_LIMITS: _Keys = {
    "older_than": values.age,
    "keep_last": values.count,
    "keep_last_per_key": values.count,
    "keep_failed": values.age_or_ever,
    "min_size": values.size,
    "allow_remove_all": values.flag,
}
_RULE: _Keys = {"dag": values.glob, "task": values.glob, "key": values.glob, **_LIMITS}
_PIN: _Keys = {
    "dag": values.glob,
    "run": values.glob,
    "task": values.glob,
    "key": values.glob,
    "reason": values.text,
    "until": values.until,
}
_SECTIONS: Mapping[str, _Keys] = {
    "defaults": _LIMITS,
    "trash": {"keep": values.duration},
    "orphans": {"collect": values.flag, "min_age": values.grace, "max_share": values.share},
    "backup": {"to": values.destination},
}
_LISTS = ("rules", "pins")
_PIN_GLOBS = ("dag", "run", "task", "key")


class _Reader:
    """A parsed document with its lines: hands out checked values, or says where what is wrong."""

    def __init__(self, file: TomlFile) -> None:
        self._path = file.path
        self._line_of = file.line_of
        self._document = file.document
        self._require_known(file.document, [*_SECTIONS, *_LISTS], ())

    def table(self, name: str, keys: _Keys) -> dict[str, Any]:
        """A `[table]`, checked; empty if it is not there."""
        return self._checked(self._document.get(name, {}), keys, (name,), f"[{name}]")

    def rules(self, defaults: dict[str, Any]) -> tuple[Rule, ...]:
        """Every rule, with what it does not say itself taken from the defaults, and the defaults as the last one."""
        tables = self._tables("rules", _RULE)
        if tables and "keep_last" in defaults and "older_than" not in defaults:
            raise self._fault(
                "keep_last alone lets go of all older runs of every DAG that has no rule, whatever their age",
                'add older_than = "30d" to [defaults], or put keep_last into the rules',
                ("defaults", "keep_last"),
            )
        fallback = [self._rule(defaults, ("defaults",))] if defaults else []
        rules: list[Rule] = []
        for number, table in enumerate(tables):
            if not any(glob in table for glob in ("dag", "task", "key")):
                raise self._fault(
                    "a rule says what it is for",
                    'add dag = "etl_*"; [defaults] is for all',
                    ("rules", number),
                )
            rules.append(self._rule(defaults | table, ("rules", number)))
            for other in rules[:-1]:
                if rules[-1].ties_with(other):
                    raise self._fault(
                        f"some rows match this rule and the one at {other.place}, and neither is more specific",
                        "make the globs of one of them longer or exact: DAG counts before task, task before key",
                        ("rules", number),
                    )
        return (*rules, *fallback)

    def pins(self) -> tuple[Pin, ...]:
        """Every pin."""
        pins = []
        for number, table in enumerate(self._tables("pins", _PIN)):
            place = ("pins", number)
            if "reason" not in table:
                raise self._fault("a pin has a reason", 'add reason = "audit 4711"', place)
            if not any(glob in table for glob in _PIN_GLOBS):
                raise self._fault("a pin says what it keeps", 'add dag = "train_*"', place)
            pins.append(Pin(**table, place=self._place(place)))
        return tuple(pins)

    def _rule(self, limits: dict[str, Any], place: tuple[str | int, ...]) -> Rule:
        given = dict(limits)
        remove_all = given.pop("allow_remove_all", False)
        if given.get("keep_failed") is False:
            given.pop("keep_failed")
        rule = Rule(**given, place=self._place(place))
        if rule.lets_go and rule.runs_kept == 0 and not rule.keep_last_per_key and not remove_all:
            raise self._fault(
                "keep_last = 0 keeps nothing of a DAG, not even the values that its next run may pull",
                "write keep_last = 1, or keep_last_per_key = 1, or add allow_remove_all = true if this is meant",
                (*place, "keep_last"),
            )
        return rule

    def _tables(self, name: str, keys: _Keys) -> list[dict[str, Any]]:
        value = self._document.get(name, [])
        if not isinstance(value, list):
            raise self._fault(f"{name} is a list of tables", f"write [[{name}]] instead of [{name}]", (name,))
        return [
            self._checked(table, keys, (name, number), f"[[{name}]]") for number, table in enumerate(value)
        ]

    def _checked(self, table: Any, keys: _Keys, place: tuple[str | int, ...], title: str) -> dict[str, Any]:
        if not isinstance(table, dict):
            raise self._fault(f"{place[0]} is a table", f"write {title}, and its keys below", place)
        self._require_known(table, list(keys), place)
        checked = {}
        for key, value in table.items():
            try:
                checked[key] = keys[key](value)
            except WrongValueError as error:
                raise self._fault(f"{key}: {error}", f"write {key} = {error.hint}", (*place, key)) from error
        return checked

    def _require_known(self, table: dict[str, Any], known: list[str], place: tuple[str | int, ...]) -> None:
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
                raise self._fault(f"unknown key {key}", hint, (*place, key))

    def _fault(self, cause: str, hint: str, place: tuple[str | int, ...]) -> UsageError:
        line = self._line_of(place)
        return UsageError(f"{self._path}{'' if line is None else f':{line}'}: {cause}", hint=hint)

    def _place(self, place: tuple[str | int, ...]) -> str:
        line = self._line_of(place)
        return self._path.name if line is None else f"{self._path.name}:{line}"
