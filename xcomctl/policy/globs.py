"""Globs: as regular expressions of DuckDB, how specific they are, and whether two of them can match one text."""

from __future__ import annotations

import fnmatch
import re

_SET = re.compile(r"\[(!?)(\]?[^\]]*)\]")


def is_glob(text: str) -> bool:
    """Whether anything in the text stands for other characters; else it matches itself alone."""
    return not all(_is_literal(piece) for piece in _pieces(text))


def specificity(glob: str | None) -> tuple[bool, int]:
    """Orders globs: an exact name before any glob, and of two globs the one with more literal characters."""
    if glob is None:
        return False, 0
    return (False, sum(map(_is_literal, _pieces(glob)))) if is_glob(glob) else (True, 0)


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
            elif left == ["*"]:
                meet[i][j] = meet[i + 1][j] or (bool(right) and meet[i][j + 1])
            elif right == ["*"]:
                meet[i][j] = meet[i][j + 1] or (bool(left) and meet[i + 1][j])
            elif left and right:
                meet[i][j] = _common(left[0], right[0]) and meet[i + 1][j + 1]
    return meet[0][0]


def _common(one: str, other: str) -> bool:
    """Whether some character matches both pieces, neither of which is a star."""
    if _is_literal(one):
        return fnmatch.fnmatchcase(one, other) if not _is_literal(other) else one == other
    return not _is_literal(other) or fnmatch.fnmatchcase(other, one)


def _pieces(glob: str) -> list[str]:
    """The glob cut into single characters, wildcards and whole sets such as `[a-z]`."""
    pieces, position = [], 0
    while position < len(glob):
        found = _SET.match(glob, position)
        pieces.append(found[0] if found else glob[position])
        position += len(pieces[-1])
    return pieces


def _is_literal(piece: str) -> bool:
    return len(piece) == 1 and piece not in "*?"


def glob_pattern(glob: str) -> str:
    """A glob as `fnmatch` understands it, as a regular expression of RE2 for the whole text.

    DuckDB's own GLOB compares bytes: `[é]` would also match half of `ñ`, and so another DAG.
    """
    pattern = "(?s)"
    for piece in _pieces(glob):
        found = _SET.fullmatch(piece)
        if found is not None:
            pattern += _set_pattern(found[2], negated=bool(found[1]))
        else:
            pattern += {"*": ".*", "?": "."}.get(piece) or _exactly(piece)
    return pattern


def _set_pattern(members: str, *, negated: bool) -> str:
    parts, position = "", 0
    while position < len(members):
        first = last = members[position]
        position += 1
        if members[position : position + 1] == "-" and position + 1 < len(members):
            last = members[position + 1]
            position += 2
        # A range that runs backwards holds nothing.
        if first <= last:
            parts += f"{_exactly(first)}-{_exactly(last)}"
    if not parts:
        return "." if negated else r"[^\x{0}-\x{10FFFF}]"
    return f"[{'^' if negated else ''}{parts}]"


def _exactly(character: str) -> str:
    return f"\\x{{{ord(character):X}}}"
