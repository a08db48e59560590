"""Globs, one language wherever XComs are chosen by name: read once, and said to Python, to DuckDB and to the database.

`*` is any text, `?` is one character, `[a-z]` one of these, `[!a-z]` one that is none of these; a `]` right at the
start belongs to the set. All else means itself: case counts, a bracket that is not closed is a bracket, and nothing
escapes but a set, `[*]`. That is the language of `fnmatch.fnmatchcase`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

_SPECIAL = "*?["


class _Wild(Enum):
    text = "*"
    character = "?"


@dataclass(frozen=True, slots=True)
class _Set:
    """One character within, or outside of, these ranges, both ends included."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool

    def holds(self, character: str) -> bool:
        return any(first <= character <= last for first, last in self.ranges) != self.negated


_Piece = str | _Wild | _Set
"""A character that means itself, or what stands for others."""


def is_glob(text: str) -> bool:
    """Whether anything in the text stands for other characters; else it matches one name alone: `only_name`."""
    return only_name(text) is None


def only_name(glob: str) -> str | None:
    """The name that is the only one to match, None where others may."""
    pieces = _pieces(glob)
    literal = [piece for piece in pieces if isinstance(piece, str)]
    return "".join(literal) if len(literal) == len(pieces) else None


def escaped(name: str) -> str:
    """The glob that matches this name alone."""
    return "".join(f"[{character}]" if character in _SPECIAL else character for character in name)


def matches(glob: str | None, name: str | None) -> bool:
    """Whether the glob matches all of the name. None as a glob matches anything; no other glob matches None."""
    return glob is None or (name is not None and python_pattern(glob).fullmatch(name) is not None)


def specificity(glob: str | None) -> tuple[bool, int]:
    """Orders globs: an exact name before any glob, and of two globs the one with more literal characters."""
    if glob is None:
        return False, 0
    if not is_glob(glob):
        return True, 0
    return False, sum(isinstance(piece, str) for piece in _pieces(glob))


def overlap(one: str | None, other: str | None) -> bool:
    """Whether some text may match both globs. Two sets of characters count as having one in common."""
    if one is None or other is None:
        return True
    ours, theirs = _pieces(one), _pieces(other)
    # meet[i][j]: what is left of both from there on can match one text.
    meet = [[False] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i in range(len(ours), -1, -1):
        for j in range(len(theirs), -1, -1):
            left, right = ours[i : i + 1], theirs[j : j + 1]
            if not left and not right:
                meet[i][j] = True
            elif left == (_Wild.text,):
                meet[i][j] = meet[i + 1][j] or (bool(right) and meet[i][j + 1])
            elif right == (_Wild.text,):
                meet[i][j] = meet[i][j + 1] or (bool(left) and meet[i + 1][j])
            elif left and right:
                meet[i][j] = _common(left[0], right[0]) and meet[i + 1][j + 1]
    return meet[0][0]


def _common(one: _Piece, other: _Piece) -> bool:
    """Whether some character matches both pieces, neither of which is a star."""
    if isinstance(one, str):
        return one == other if isinstance(other, str) else not isinstance(other, _Set) or other.holds(one)
    return _common(other, one) if isinstance(other, str) else True


@lru_cache(maxsize=256)
def python_pattern(glob: str) -> re.Pattern[str]:
    """The glob for `re`, to be matched in full."""
    pattern = ""
    for number, part in enumerate(_between_stars(glob)):
        text = "".join(_in_python(piece) for piece in part)
        if number == 0:
            pattern = text
        elif number == _pieces(glob).count(_Wild.text):
            pattern += f".*{text}"
        else:
            # The first place where it fits is as good as any later one: what was taken is never given back, or a
            # glob of many stars would take ages to fail.
            pattern += f"(?=(?P<star{number}>.*?{text}))(?P=star{number})"
    return re.compile(pattern, re.DOTALL)


def _between_stars(glob: str) -> list[list[_Piece]]:
    parts: list[list[_Piece]] = [[]]
    for piece in _pieces(glob):
        if piece is _Wild.text:
            parts.append([])
        else:
            parts[-1].append(piece)
    return parts


def _in_python(piece: _Piece) -> str:
    if isinstance(piece, str):
        return re.escape(piece)
    if isinstance(piece, _Wild):
        return "."
    if not piece.ranges:
        return "." if piece.negated else r"(?!)"
    inside = "".join(f"{re.escape(first)}-{re.escape(last)}" for first, last in piece.ranges)
    return f"[{'^' if piece.negated else ''}{inside}]"


def duckdb_pattern(glob: str) -> str:
    """The glob as a regular expression of RE2 for `regexp_full_match`.

    DuckDB's own GLOB compares bytes: `[é]` would also match half of `ñ`, and so another DAG.
    """
    return "(?s)" + "".join(_in_re2(piece) for piece in _pieces(glob))


def _in_re2(piece: _Piece) -> str:
    if isinstance(piece, str):
        return _code_point(piece)
    if isinstance(piece, _Wild):
        return ".*" if piece is _Wild.text else "."
    if not piece.ranges:
        return "." if piece.negated else r"[^\x{0}-\x{10FFFF}]"
    inside = "".join(f"{_code_point(first)}-{_code_point(last)}" for first, last in piece.ranges)
    return f"[{'^' if piece.negated else ''}{inside}]"


def _code_point(character: str) -> str:
    return f"\\x{{{ord(character):X}}}"


def duckdb_condition(
    globs: Mapping[str, str | None],
    parameters: dict[str, object],
    *,
    prefix: str = "glob",
    unknown: str = "false",
) -> str:
    """SQL of DuckDB: every glob (None matches anything) matches its column; `unknown` is what a NULL counts as.

    Its parameters, `prefix0` and so on, are added to `parameters`.
    """
    conditions = []
    for number, (column, glob) in enumerate(globs.items()):
        if glob is not None:
            parameters[f"{prefix}{number}"] = duckdb_pattern(glob)
            conditions.append(f"coalesce(regexp_full_match({column}, ${prefix}{number}), {unknown})")
    return " AND ".join(conditions) or "true"


def like_pattern(glob: str) -> str:
    """The glob for LIKE with the escape character `!`: it matches whatever the glob matches, and perhaps more.

    SQL has no sets, and some databases do not tell case apart: `matches` is exact.
    """
    pattern = ""
    for piece in _pieces(glob):
        if isinstance(piece, str):
            pattern += f"!{piece}" if piece in "!%_" else piece
        else:
            pattern += "%" if piece is _Wild.text else "_"
    return pattern


@lru_cache(maxsize=256)
def _pieces(glob: str) -> tuple[_Piece, ...]:
    pieces: list[_Piece] = []
    position = 0
    while position < len(glob):
        character = glob[position]
        position += 1
        end = _end_of_set(glob, position) if character == "[" else None
        if end is not None:
            pieces.append(_set(glob[position:end]))
            position = end + 1
        else:
            pieces.append(_Wild(character) if character in "*?" else character)
    return tuple(pieces)


def _end_of_set(glob: str, start: int) -> int | None:
    """Where the bracket is that closes the set whose first character is at `start`; None if none does."""
    first = start + 1 if glob[start : start + 1] == "!" else start
    end = glob.find("]", first + 1)
    return None if end < 0 else end


def _set(members: str) -> _Piece:
    negated = members.startswith("!")
    ranges = []
    position = 1 if negated else 0
    while position < len(members):
        first = last = members[position]
        position += 1
        if members[position : position + 1] == "-" and position + 1 < len(members):
            last = members[position + 1]
            position += 2
        # A range that runs backwards holds nothing.
        if first <= last:
            ranges.append((first, last))
    if not negated and len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return ranges[0][0]
    return _Set(tuple(ranges), negated)
