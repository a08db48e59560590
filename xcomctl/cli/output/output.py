"""Write a stream of items in the format that the user asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO

from xcomctl.cli.output.columns import Column, OutputStyle, T, choose


def write(items: Iterable[T], columns: Sequence[Column[T]], style: OutputStyle, stream: TextIO) -> None:
    """Write `items` to `stream`.

    Raises UsageError for an unknown column or a bad template, before the first item is asked for.
    """
    if style.template is not None:
        from xcomctl.cli.output.template import write_template

        write_template(items, columns, style.template, stream)
        return
    chosen = choose(columns, style)
    if style.format == "table":
        from xcomctl.cli.output.table import write_table

        write_table(items, chosen, stream)
        return
    from xcomctl.cli.output import records

    writers = {"json": records.write_json, "ndjson": records.write_ndjson, "csv": records.write_csv}
    writers[style.format](items, chosen, stream)
