"""How much of a payload is looked at to tell its codec."""

from __future__ import annotations

from xcomctl.look.codecs.interface import Payload

SNIFFED = 1 << 16
"""Bytes at the beginning of a payload that every codec is shown."""


def read_start(payload: Payload) -> bytes:
    """The first bytes, SNIFFED at most; the stream is back at its start afterwards."""
    payload.stream.seek(0)
    start = payload.stream.read(SNIFFED)
    payload.stream.seek(0)
    return start


def is_whole(start: bytes, payload: Payload) -> bool:
    """Whether `start`, as `read_start` gives it, is all that there is."""
    return len(start) < SNIFFED or payload.size == len(start)
