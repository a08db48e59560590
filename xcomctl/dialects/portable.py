"""Whether a regular expression that a user wrote means the same to Python's `re` and to RE2."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

_MEANT_ALIKE_ESCAPES = frozenset("dDsSwWbBAafnrtvx")
_GROUP_STARTS = ("(?:", "(?P<")
_MOST_REPEATS = 1000
_QUANTIFIER = re.compile(r"[*+?]|\{(\d*)(,?)(\d*)\}")


def differences(pattern: str) -> Iterator[str]:
    """What in `pattern` the two engines do not share, or read differently; nothing if it is portable."""
    try:
        with warnings.catch_warnings():
            # Python warns where a set will change its meaning; RE2 reads some of those as POSIX classes already.
            warnings.simplefilter("error")
            compiled = re.compile(pattern, re.ASCII)
    except (re.error, Warning, RecursionError, OverflowError) as error:
        yield f"it is not a regular expression ({error})"
        return
    if compiled.groups != len(compiled.groupindex):
        yield "it has a group without a name, write (?:...) or (?P<name>...)"
    yield from _constructs(pattern)


def _constructs(pattern: str) -> Iterator[str]:
    position, in_set, quantified = 0, False, False
    while position < len(pattern):
        rest = pattern[position:]
        quantifier = None if in_set or rest.startswith("{}") else _QUANTIFIER.match(rest)
        length = 1
        if rest[0] == "\\":
            yield from _escape(rest[1:2], in_set)
            length = 2
        elif in_set:
            in_set = rest[0] != "]"
        elif rest[0] == "[":
            in_set = True
            # A bracket that comes first in a set is a member of it.
            length = len(re.match(r"\[\^?\]?", rest).group())  # type: ignore[union-attr]
        elif rest.startswith("(?") and not rest.startswith(_GROUP_STARTS):
            yield f"it has {rest[:4]!r}, only (?:...) and (?P<name>...) may follow a bracket"
        elif quantifier:
            length = len(quantifier.group())
            yield from _repeats(quantifier, quantified)
        quantified = quantifier is not None
        position += length


def _escape(letter: str, in_set: bool) -> Iterator[str]:
    if letter.isdigit():
        yield f"it refers back to a group (\\{letter})"
    elif letter.isalnum() and (letter not in _MEANT_ALIKE_ESCAPES or (in_set and letter in "bBA")):
        yield f"it has \\{letter}" + (", write $" if letter == "Z" else "")


def _repeats(quantifier: re.Match[str], after_another: bool) -> Iterator[str]:
    if after_another and quantifier.group() != "?":
        yield f"it has a possessive {quantifier.group()}"
    least, _, most = quantifier.groups()
    if quantifier.group().startswith("{") and not least:
        yield f"it has {quantifier.group()}, write {{0{quantifier.group()[1:]}"
    if max(int(least or 0), int(most or 0)) > _MOST_REPEATS:
        yield f"it repeats more than {_MOST_REPEATS} times"
