"""`--template`: one line per item, from named fields only. A template can format values; it cannot reach into them."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from typing import TextIO

from xcomctl.cli.output.columns import Column, T, machine, unknown_column
from xcomctl.cli.output.text import visible
from xcomctl.errors import UsageError

# A field within a format, or a width that would fill the memory.
_EXCESSIVE = re.compile(r"[{}]|\d{4}")

_HINT = "write --template '{dag_id} {size:>12}', and {{ for a brace"


def write_template(items: Iterable[T], columns: Sequence[Column[T]], template: str, stream: TextIO) -> None:
    """Write the filled-in template per item. Absent values are empty. Raises UsageError for a bad template."""
    known = {column.name: column for column in columns}
    parts = _parts(template, columns)
    guard = visible if stream.isatty() else str
    for item in items:
        line = "".join(
            text + ("" if name is None else _filled(known[name], item, spec)) for text, name, spec in parts
        )
        stream.write(guard(line) + "\n")
        stream.flush()


def _parts(template: str, columns: Sequence[Column[T]]) -> list[tuple[str, str | None, str]]:
    """Literal text, name of the field after it (None at the end) and how to format that. Raises UsageError."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(f"the template cannot be read: {error}", hint=_HINT) from None
    names = {column.name for column in columns}
    parts: list[tuple[str, str | None, str]] = []
    for text, name, spec, conversion in parsed:
        if name is not None and not name.isidentifier():
            raise UsageError(f"the template's field {{{name}}} is not a plain name", hint=_HINT)
        if name is not None and name not in names:
            raise unknown_column(name, columns)
        if conversion or _EXCESSIVE.search(spec or ""):
            raise UsageError(f"the template's field {{{name}}} uses more than a plain format", hint=_HINT)
        parts.append((text, name, spec or ""))
    return parts


def _filled(column: Column[T], item: T, spec: str) -> str:
    value = machine(column.value(item))
    if value is None:
        value = ""
        # Width and alignment apply to an absent number too; signs and thousands do not.
        spec = spec.rstrip("bcdeEfFgGnoxX%").replace(",", "").replace("_", "").partition(".")[0]
    elif isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, (list, dict)):
        value = str(value)
    try:
        return format(value, spec)
    except ValueError:
        raise UsageError(f"{column.name} cannot be formatted as {spec!r}", hint=_HINT) from None
