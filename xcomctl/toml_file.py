"""A TOML file, read whole, with the lines of its tables and keys: the parser tells only that of a mistake."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xcomctl.errors import UsageError

_HEADER = re.compile(r"\s*(\[\[?)\s*[\"']?([\w-]+)[\"']?\s*\]")
_KEY = re.compile(r"\s*[\"']?([\w-]+)[\"']?\s*(?:=|\.)")
_LONG_QUOTES = re.compile(r'"""|\'\'\'')

Place = tuple["str | int", ...]


class _Lines:
    """Lines of a text that is valid TOML, by place: `("rules", 0, "dag")` is a key of the first of `[[rules]]`."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Place, int] = {}
        table: Place = ()
        seen: Counter[str] = Counter()
        quotes: str | None = None
        for number, line in enumerate(text.split("\n"), start=1):
            if quotes is None:
                header = _HEADER.match(line)
                key = _KEY.match(line)
                if header:
                    name = header[2]
                    table = (name, seen[name]) if header[1] == "[[" else (name,)
                    seen[name] += header[1] == "[["
                    self._lines.setdefault(table, number)
                    self._lines.setdefault((name,), number)
                elif key:
                    self._lines.setdefault((*table, key[1]), number)
            for found in _LONG_QUOTES.findall(line):
                # Inside of one kind of quotes the other kind is text.
                quotes = found if quotes is None else None if quotes == found else quotes

    def of(self, place: Place) -> int | None:
        """The line of a place, or of the nearest thing around it; None where not even that is to be seen."""
        while place:
            if place in self._lines:
                return self._lines[place]
            place = place[:-1]
        return None


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A file that is valid TOML."""

    path: Path
    content: bytes
    document: dict[str, Any]
    _lines: _Lines = field(repr=False)

    def line_of(self, place: Place) -> int | None:
        """The line of a place, `("rules", 0, "dag")`, or of the nearest thing around it; None where none is to be seen."""
        return self._lines.of(place)


def read_toml(path: Path, *, option: str, purpose: str, example: str) -> TomlFile:
    """Read a file that `option` may name, for the hints: the path of `purpose`, with lines such as `example`.

    Raises UsageError, with the line if it is known: not readable, not UTF-8, not TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content = path.read_bytes()
        text = content.decode()
        document = tomllib.loads(text)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint=f"give {option} the path of {purpose}"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not TOML: it is not UTF-8", hint="save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        # "Invalid value (at line 3, column 14)"; it quotes no value.
        cause, _, place = str(error).partition(" (at line ")
        line = re.match(r"\d+", place)
        raise UsageError(
            f"{path}{f':{line[0]}' if line else ''}: this is not TOML: {cause[:1].lower() + cause[1:]}",
            hint=f"write lines such as {example}",
        ) from error
    return TomlFile(path, content, document, _Lines(text))
