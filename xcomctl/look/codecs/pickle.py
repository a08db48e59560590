"""Pickles, looked at by their opcodes and never loaded: what they would import, the texts they hold, their shape."""

from __future__ import annotations

import io
import pickletools
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from xcomctl.look.codecs.interface import Payload, PicklePreview, PreviewOptions, is_whole

_MAX_BYTES = 1 << 20
"""Bytes of a pickle that are looked at."""
_MAX_OPCODES = 500_000
_MAX_STRINGS = 100
_MAX_CLASSES = 200
_MAX_STRING = 200
"""Characters of one string that are shown."""

_HIGHEST_PROTOCOL = max(opcode.proto for opcode in pickletools.opcodes)
_LEAST_OPCODES = 4
"""Opcodes that must be readable where no protocol byte says that it is a pickle (protocols 0 and 1)."""

_TEXTUAL = frozenset(
    {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
)
_STORES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_FETCHES = frozenset({"GET", "BINGET", "LONG_BINGET"})
_EXTENSIONS = frozenset({"EXT1", "EXT2", "EXT4"})
_TELLING = _STORES | {"GLOBAL", "INST", "MEMOIZE"}
"""Opcodes that every real pickle of more than a number or a text has."""

_UNKNOWN = "?"
_MARK = object()


class PickleCodec:
    """Pickles of any protocol."""

    name = "pickle"

    def sniff(self, start: bytes, payload: Payload) -> bool:
        """Whether the first bytes are a protocol opcode, or opcodes of the protocols that had none."""
        if start[:1] == b"\x80" and len(start) > 1:
            return start[1] <= _HIGHEST_PROTOCOL
        reading = _read(start)
        if reading.total < _LEAST_OPCODES or not _TELLING & reading.opcodes.keys():
            return False
        return reading.end == len(start) and reading.stopped == is_whole(start, payload)

    def preview(self, payload: Payload, options: PreviewOptions) -> PicklePreview:
        """What the opcodes of the first MiB tell. Never fails on a bad pickle: that one is `truncated`."""
        reading = _read(payload.stream.read(_MAX_BYTES))
        return PicklePreview(
            protocol=reading.protocol,
            classes=tuple(reading.classes),
            strings=tuple(reading.strings),
            opcodes=tuple(reading.opcodes.most_common()),
            truncated=not reading.stopped,
        )


@dataclass(slots=True)
class _Reading:
    """What was seen so far, and a stack in which only texts are known by value."""

    protocol: int = 0
    classes: dict[str, None] = field(default_factory=dict)
    strings: dict[str, None] = field(default_factory=dict)
    opcodes: Counter[str] = field(default_factory=Counter)
    total: int = 0
    stopped: bool = False
    end: int = 0
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def take(self, opcode: Any, argument: Any) -> None:
        """One more opcode."""
        name = opcode.name
        self.opcodes[name] += 1
        self.total += 1
        if name == "PROTO":
            self.protocol = argument
        elif name in _STORES:
            self.memo[argument] = self.top()
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.top()
        elif name in _FETCHES:
            self.stack.append(self.memo.get(argument))
        elif name == "DUP":
            self.stack.append(self.top())
        else:
            taken = self._pop(opcode)
            self._note(name, argument, taken)
            for _ in opcode.stack_after:
                self.stack.append(argument if name in _TEXTUAL else _MARK if name == "MARK" else None)
            if opcode.proto == 1 and self.protocol == 0:
                self.protocol = 1

    def top(self) -> Any:
        """What is on top of the stack; None if that is not a text."""
        return self.stack[-1] if self.stack else None

    def _pop(self, opcode: Any) -> list[Any]:
        """Take from the stack what the opcode takes; nothing where a broken pickle has nothing there."""
        if pickletools.markobject in opcode.stack_before:
            while self.stack and self.stack.pop() is not _MARK:
                pass
            # What is below the mark (the list of APPENDS, the dict of SETITEMS) is replaced by itself.
            below = opcode.stack_before.index(pickletools.markobject)
            return [self.stack.pop() for _ in range(min(below, len(self.stack)))]
        count = min(len(opcode.stack_before), len(self.stack))
        return [self.stack.pop() for _ in range(count)][::-1]

    def _note(self, name: str, argument: Any, taken: list[Any]) -> None:
        if name in _TEXTUAL:
            _remember(self.strings, argument, _MAX_STRINGS)
        elif name in ("GLOBAL", "INST"):
            _remember(self.classes, ".".join(str(argument).split(" ", 1)), _MAX_CLASSES)
        elif name == "STACK_GLOBAL":
            parts = [part if isinstance(part, str) else _UNKNOWN for part in taken] or [_UNKNOWN]
            _remember(self.classes, ".".join(parts), _MAX_CLASSES)
        elif name in _EXTENSIONS:
            _remember(self.classes, f"copyreg extension {argument}", _MAX_CLASSES)


def _remember(known: dict[str, None], text: str, limit: int) -> None:
    if len(known) < limit:
        known[text if len(text) <= _MAX_STRING else f"{text[:_MAX_STRING]}... {len(text)} characters"] = None


def _read(content: bytes) -> _Reading:
    """Follow the opcodes to the end, to the first one that cannot be read, or to the limit."""
    reading = _Reading()
    stream = io.BytesIO(content)
    with warnings.catch_warnings():
        # Texts of protocol 0 are unescaped by the library, which warns of escapes that hostile ones make up.
        warnings.simplefilter("ignore")
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                reading.take(opcode, argument)
                if opcode.name == "STOP":
                    reading.stopped = True
                    break
                if reading.total >= _MAX_OPCODES:
                    break
        except (ValueError, OverflowError):
            # Truncated or not a pickle: what was read before stands.
            pass
    reading.end = stream.tell()
    return reading
