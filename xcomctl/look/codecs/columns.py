"""Which columns of a table a preview shows."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from xcomctl.errors import UsageError
from xcomctl.look.codecs.interface import PreviewOptions

MAX_COLUMNS = 64
"""Columns that are shown where nobody said which: each one costs a fetch."""


def chosen_columns(names: Sequence[str], options: PreviewOptions) -> tuple[int, ...]:
    """Positions of the columns to show, in the order that was asked for. Raises UsageError for a name that is not there."""
    if options.columns is None:
        return tuple(range(len(names) if options.sink is not None else min(len(names), MAX_COLUMNS)))
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    chosen = []
    for name in options.columns:
        if name not in places:
            near = difflib.get_close_matches(name, names, n=3) or list(names[:8])
            raise UsageError(
                f"there is no column {name!r}", hint=f"columns are {', '.join(near)}" if near else None
            )
        chosen.append(places[name])
    return tuple(chosen)
