"""On which line of a TOML text a table or a key is: the parser does not tell."""

from __future__ import annotations

import re
from collections import Counter

_HEADER = re.compile(r"\s*(\[\[?)\s*[\"']?([\w-]+)[\"']?\s*\]")
_KEY = re.compile(r"\s*[\"']?([\w-]+)[\"']?\s*(?:=|\.)")
_LONG_QUOTES = re.compile(r'"""|\'\'\'')

Place = tuple["str | int", ...]


class TomlLines:
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
