"""Archives that are more than the compression of one thing: a table of their members."""

from __future__ import annotations

from xcomctl.look.codecs.compression import is_zip, members_of, seekable
from xcomctl.look.codecs.interface import FramePreview, Payload, PreviewOptions, chosen_columns
from xcomctl.look.codecs.parts import ColumnParts

_COLUMNS = (("name", "string"), ("size", "int64"), ("packed_size", "int64"))


class ZipCodec:
    """An archive with none or several members: a table of them."""

    name = "zip"

    def sniff(self, start: bytes, payload: Payload) -> bool:
        """Whether the first bytes are those of a zip archive."""
        return is_zip(start)

    def preview(self, payload: Payload, options: PreviewOptions) -> FramePreview:
        """The members, in the order of the archive. Raises UnreadableError."""
        members = members_of(seekable(payload))
        places = chosen_columns([name for name, _ in _COLUMNS], options)
        names = [_COLUMNS[place][0] for place in places]
        parts = ColumnParts(names, [_COLUMNS[place][1] for place in places], options)
        head: list[tuple[str | int, ...]] = []
        for member in members:
            row = (member.filename, member.file_size, member.compress_size)
            cells = [row[place] for place in places]
            if len(head) < options.head:
                head.append(tuple(cells))
            if parts.full and len(head) == options.head:
                break
            if not parts.full:
                parts.add(cells)
        parts.flush()
        statistics = parts.statistics
        return FramePreview(
            kind="zip",
            rows=len(members),
            columns=_COLUMNS,
            head=tuple(head),
            head_columns=tuple(names),
            statistics=() if statistics is None else statistics.columns(),
            described=None if statistics is None else parts.rows,
        )
