"""The binary format of COPY, as a server might send it that is not PostgreSQL or is broken."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from xcomctl.airflow.binary_tuples import BinaryTuples, Kind
from xcomctl.errors import SourceError

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
KINDS: dict[str, Kind] = {"number": "int4", "at": "time", "name": "text", "value": "bytes"}


def record(number: int | None, at: int | None, *texts: bytes | None) -> bytes:
    """One record as the server sends it."""
    fields = [
        None if number is None else struct.pack("!i", number),
        None if at is None else struct.pack("!q", at),
    ]
    parts = [
        struct.pack("!i", -1) if one is None else struct.pack("!i", len(one)) + one
        for one in (*fields, *texts)
    ]
    return struct.pack("!h", len(parts)) + b"".join(parts)


def read(*batches: list[bytes]) -> list[tuple[Any, ...]]:
    """What the messages hold, row by row; the end must have come."""
    tuples = BinaryTuples(KINDS)
    found: list[tuple[Any, ...]] = []
    for batch in batches:
        columns = {name: column.to_pylist() for name, column in tuples.columns(batch).items()}
        found += zip(*(columns[name] for name in KINDS), strict=True) if columns else ()
    tuples.close()
    return [(number, at and at.year, *rest) for number, at, *rest in found]


def test_header_and_end_come_with_a_record_or_alone() -> None:
    """Servers put the header before the first record, or send it by itself; there may be no record at all."""
    one, two = record(-1, 0, b"a", b"\x00\xff"), record(2**31 - 1, 0, b"", None)
    expected = [(-1, 2000, b"a", b"\x00\xff"), (2**31 - 1, 2000, b"", None)]
    assert read([HEADER + one, two, END]) == expected
    assert read([HEADER], [one], [two], [END]) == expected
    assert read([HEADER + END]) == read([HEADER, END]) == []


def test_null_is_told_from_nothing() -> None:
    """NULL of any kind, also in the fields that otherwise have one width, and in all rows."""
    rows = [record(1, 0, None, b""), record(None, 0, b"", None), record(3, None, b"x", b"y")]
    assert read([HEADER + rows[0], *rows[1:], END]) == [
        (1, 2000, None, b""),
        (None, 2000, b"", None),
        (3, None, b"x", b"y"),
    ]
    assert read([HEADER + record(None, None, None, None), END]) == [(None, None, None, None)]


@pytest.mark.parametrize(
    "messages",
    [
        [record(1, 0, b"a", b"b"), END],
        [HEADER + b"\x00", END],
        [HEADER + record(1, 0, b"a", b"b")[:-1], END],
        [HEADER + record(1, 0, b"a", b"b") + b"x", END],
        [HEADER + record(1, 0, b"a"), END],
        [HEADER + record(1, 0, b"a", b"b", b"c"), END],
        [HEADER + record(1, 0, b"a", b"b") * 2, END],
        [HEADER + record(1, 0, b"a", b"b").replace(b"\x00\x00\x00\x01a", b"\x7f\xff\xff\xffa"), END],
        [HEADER + struct.pack("!hiiiiii", 4, 2, 0, -1, -1, -1, -1)[:-2], END],
        [HEADER + END, record(1, 0, b"a", b"b")],
    ],
    ids=map(str, range(10)),
)
def test_what_is_not_of_this_form_is_an_error(messages: list[bytes]) -> None:
    """Nothing is guessed: sizes that lead elsewhere, records cut or glued together, a missing header."""
    with pytest.raises(SourceError, match="not PostgreSQL's"):
        read(messages)


def test_an_answer_that_does_not_end_is_an_error() -> None:
    """Without the end there is no telling how many records there were."""
    with pytest.raises(SourceError, match="did not end"):
        read([HEADER + record(1, 0, b"a", b"b")])
