"""Where the bytes are, for people: sizes in columns with a bar for the share, and sentences on growth and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xcomctl.airflow.interface import TableWeight
from xcomctl.cli.output.columns import Column, Fit
from xcomctl.inventory.usage import LOOKED_BACK, Dimension, Growth, NewBytes, UsagePart
from xcomctl.units import format_size, quantity

_BLOCKS = " ▏▎▍▌▋▊▉█"
_SHORTEST = 6
"""Characters below which a bar says nothing."""

_AHEAD = 90
"""Days for which growth is told on."""


def part_columns(
    by: Sequence[Dimension], total: UsagePart, *, width: int, blocks: bool, bars: bool
) -> tuple[Column[UsagePart], ...]:
    """Columns of parts of `total`, on a terminal of `width` columns.

    `blocks` tells whether it can show block characters, `bars` whether tables have bars.
    """
    # Names get 16 characters each, the figures that are always there 38; what is left is for more of them, and bars.
    room = width - 38 - 16 * len(by)
    shown: list[str] = []
    for title in ("IN ROWS", "IN S3"):
        if room >= 11 + (15 if not shown else 25):
            shown.append(title)
            room -= 11
    room = min(40, room - 2)
    columns: list[Column[UsagePart]] = [_place(at, dimension) for at, dimension in enumerate(by)]
    columns += [
        _count("rows"),
        _count("objects"),
        _size("bytes", "SIZE"),
        _size("inline_bytes", "IN ROWS" if "IN ROWS" in shown else None),
        _size("offloaded_bytes", "IN S3" if "IN S3" in shown else None),
        Column(
            "share",
            lambda part: round(_share(part, total), 6),
            "SHARE",
            human=lambda part: f"{_share(part, total):.1%}",
            number=True,
            fit=Fit.whole,
        ),
        Column("parts", lambda part: part.parts),
    ]
    if bars and room >= _SHORTEST:
        columns.append(
            Column(
                "bar",
                lambda part: None,
                " ",
                human=lambda part: bar(_share(part, total), room, blocks=blocks),
                style="cyan",
                fit=Fit.whole,
            )
        )
    return tuple(columns)


def bar(share: float, width: int, *, blocks: bool = True) -> str:
    """A bar of that share (0 to 1) of `width` characters, to an eighth of one; what is there at all can be seen."""
    eighths = round(share * width * 8)
    if not blocks:
        return "#" * (round(share * width) or (share > 0))
    whole, rest = divmod(max(eighths, share > 0), 8)
    return "█" * whole + (_BLOCKS[rest] if rest else "")


def growth_line(growth: Growth, total: UsagePart) -> str:
    """What comes in a day, and what that leads to."""
    of_days = "" if growth.days >= LOOKED_BACK.days else f" in the last {growth.days:.0f} days"
    return (
        f"growth: {format_size(round(growth.bytes_per_day))} a day{of_days};"
        f" at this rate {format_size(growth.leads_to(total.bytes, _AHEAD))} in {_AHEAD} days, if nothing is deleted"
    )


def weight_lines(weights: Sequence[TableWeight]) -> Iterator[str]:
    """What the tables of the database weigh; empty archives and tables that are not known to weigh are left out."""
    for weight in weights:
        if weight.table_bytes is None or (not weight.rows and len(weights) > 1):
            continue
        about = "" if weight.exact else "about "
        indexes = f", {format_size(weight.index_bytes)} of indexes" if weight.index_bytes else ""
        kind = "archive" if weight.archived else "table"
        yield (
            f"{kind} {weight.name}: {format_size(weight.table_bytes)}{indexes}, {about}{quantity(weight.rows, 'row')}"
        )


DAY_COLUMNS: tuple[Column[NewBytes], ...] = (
    Column("day", lambda day: day.day, "DAY", fit=Fit.whole),
    Column("rows", lambda day: day.rows, "ROWS", human=lambda day: f"{day.rows:,}", number=True),
    Column("objects", lambda day: day.objects, "OBJECTS", human=lambda day: f"{day.objects:,}", number=True),
    Column("bytes", lambda day: day.bytes, "SIZE", human=lambda day: format_size(day.bytes), number=True),
    Column(
        "inline_bytes",
        lambda day: day.inline_bytes,
        "IN ROWS",
        human=lambda day: format_size(day.inline_bytes),
        number=True,
    ),
    Column(
        "offloaded_bytes",
        lambda day: day.offloaded_bytes,
        "IN S3",
        human=lambda day: format_size(day.offloaded_bytes),
        number=True,
    ),
)
"""What was written on a day."""


WEIGHT_COLUMNS: tuple[Column[TableWeight], ...] = (
    Column("table", lambda weight: weight.name, "TABLE"),
    Column("archived", lambda weight: weight.archived),
    Column(
        "rows",
        lambda weight: weight.rows,
        "ROWS",
        human=lambda weight: f"{'' if weight.exact else '~'}{weight.rows:,}",
        number=True,
    ),
    Column("rows_exact", lambda weight: weight.exact),
    Column(
        "table_bytes",
        lambda weight: weight.table_bytes,
        "TABLE SIZE",
        human=lambda weight: _known_size(weight.table_bytes),
        number=True,
    ),
    Column(
        "index_bytes",
        lambda weight: weight.index_bytes,
        "INDEXES",
        human=lambda weight: _known_size(weight.index_bytes),
        number=True,
    ),
)
"""What a table weighs in the database."""


def _share(part: UsagePart, total: UsagePart) -> float:
    return part.bytes / total.bytes if total.bytes else 0.0


def _place(at: int, dimension: Dimension) -> Column[UsagePart]:
    def shown(part: UsagePart) -> str:
        if part.rest:
            others = "1 other" if part.parts == 1 else f"{part.parts:,} others"
            return f"({others})" if at == 0 else ""
        return part.place[at] or dimension.unknown

    fit = Fit.middle if dimension.word in ("run", "key") else Fit.end
    return Column(dimension.field, lambda part: part.place[at], dimension.word.upper(), human=shown, fit=fit)


def _count(name: str) -> Column[UsagePart]:
    return Column(
        name,
        lambda part: getattr(part, name),
        name.upper(),
        human=lambda part: f"{getattr(part, name):,}",
        number=True,
        fit=Fit.whole,
    )


def _size(name: str, title: str | None) -> Column[UsagePart]:
    return Column(
        name,
        lambda part: getattr(part, name),
        title,
        human=lambda part: format_size(getattr(part, name)),
        number=True,
        fit=Fit.whole,
    )


def _known_size(size: int | None) -> str:
    return "" if size is None else format_size(size)
