"""Archives that are more than the compression of one thing: a table of their members."""

from __future__ import annotations

from xcomctl.codecs import archive
from xcomctl.codecs.columns import chosen_columns
from xcomctl.codecs.compression import seekable
from xcomctl.codecs.interface import FramePreview, Payload, PreviewOptions

_COLUMNS = (("name", "string"), ("size", "int64"), ("packed_size", "int64"))


class ZipCodec:
    """An archive with none or several members: a table of them."""

    name = "zip"

    def sniff(self, start: bytes, payload: Payload) -> bool:
        """Whether the first bytes are those of a zip archive."""
        return archive.is_zip(start)

    def preview(self, payload: Payload, options: PreviewOptions) -> FramePreview:
        """The members, in the order of the archive. Raises UnreadableError."""
        members = archive.members_of(seekable(payload))
        places = chosen_columns([name for name, _ in _COLUMNS], options)
        rows = [
            (member.filename, member.file_size, member.compress_size) for member in members[: options.head]
        ]
        return FramePreview(
            kind="zip",
            rows=len(members),
            columns=_COLUMNS,
            head=tuple(tuple(row[place] for place in places) for row in rows),
            head_columns=tuple(_COLUMNS[place][0] for place in places),
        )
