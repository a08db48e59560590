"""JSON documents whose one long member is streamed, so that a plan of any length needs no more memory than a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from xcomctl.cli.output.text import json_safe


def document_chunks(
    head: Mapping[str, Any], member: str, records: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    """Pieces of one indented JSON document: the members of `head`, then `member` with a line per record."""
    opening = json.dumps(dict(head), indent=2, ensure_ascii=False)[:-2]
    yield json_safe(f"{opening},\n" if head else "{\n") + f'  "{member}": ['
    separator = "\n    "
    empty = True
    for record in records:
        yield separator + json_safe(json.dumps(dict(record), ensure_ascii=False))
        separator = ",\n    "
        empty = False
    yield "]\n}\n" if empty else "\n  ]\n}\n"
