"""The configuration file `xcomctl.toml`: settings at the top and in `[profile.NAME]`, and `[[dialect]]` rules.

Every error names the file and the key.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from xcomctl.errors import UsageError
from xcomctl.toml_file import read_toml

if TYPE_CHECKING:
    from xcomctl.dialects.configured import DialectRule

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Section:
    """Settings of the top level or of one profile; None, or no store, is "not set"."""

    db: str | None = None
    db_schema: str | None = None
    ignore_places: str | None = None
    stores: tuple[str, ...] = ()
    endpoint_url: str | None = None
    region: str | None = None
    aws_profile: str | None = None
    memory: str | None = None
    threads: int | None = None
    tmp: str | None = None
    log_format: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file, checked."""

    path: Path
    top: Section
    profiles: Mapping[str, Section]
    dialects: tuple[DialectRule, ...]


def read_config_file(path: Path) -> ConfigFile:
    """Read and check a file. Raises UsageError: not there, not TOML, unknown key, wrong type."""
    document = read_toml(
        path, option="--config", purpose="a configuration file", example='db = "postgresql://..."'
    ).document
    profiles = document.pop("profile", {})
    rules = document.pop("dialect", [])
    if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
        raise UsageError(f"{path}: profile is not a table of profiles", hint="write [profile.NAME]")
    if not isinstance(rules, list) or not all(isinstance(table, dict) for table in rules):
        raise UsageError(f"{path}: dialect is not a list of tables", hint="write [[dialect]]")
    return ConfigFile(
        path=path,
        top=_convert(document, Section, path, "", also=("profile", "dialect")),
        profiles={
            name: _convert(table, Section, path, f"profile.{name}.") for name, table in profiles.items()
        },
        dialects=_rules(rules, path),
    )


def _rules(tables: list[dict[str, Any]], path: Path) -> tuple[DialectRule, ...]:
    if not tables:
        return ()
    from xcomctl.dialects.configured import DialectRule

    return tuple(
        _convert(table, DialectRule, path, f"dialect[{index}].") for index, table in enumerate(tables)
    )


def _convert(
    table: dict[str, Any], kind: type[T], path: Path, prefix: str, *, also: tuple[str, ...] = ()
) -> T:
    """A table as the dataclass `kind`. `prefix` is its place in the file; `also` are keys read elsewhere."""
    import msgspec

    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, [*known, *also], n=1)
            hint = f"did you mean {near[0]}?" if near else f"keys here: {', '.join([*known, *also])}"
            raise UsageError(f"{path}: unknown key {prefix}{key}", hint=hint)
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        # "Expected `array`, got `str` - at `$.stores`"
        cause, _, place = str(error).replace("`", "").partition(" - at ")
        key = prefix + place.removeprefix("$").removeprefix(".")
        cause = cause[:1].lower() + cause[1:]
        raise UsageError(f"{path}: {key.rstrip('.')}: {cause}", hint=_hint(cause)) from error


def _hint(cause: str) -> str:
    if "array" in cause:
        return 'write a list: ["s3://bucket/prefix"]'
    return "write it in quotes" if "expected str" in cause else "write the missing line"
