"""How stderr is spoken to: in lines for people, or in JSON, an object a line, for whatever collects logs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from xcomctl.cli.output.text import json_safe, visible
from xcomctl.errors import UsageError

_given: list[str] = []
_known: list[bool] = []
"""The command line of this run, and whether JSON is wanted, once that was asked."""


def begin(given: Sequence[str]) -> None:
    """Begin a run with this command line: its errors are told as it says, too, whatever is wrong about it."""
    _given[:] = given
    _known.clear()


def in_json() -> bool:
    """Whether stderr gets JSON: by option, variable or configuration file. What cannot be read asks for nothing."""
    if not _known:
        try:
            require_format()
        except UsageError:
            _known[:] = [False]
    return _known[0]


def require_format() -> None:
    """Raise UsageError where the variable holds what is no format. What is wrong about a file is told by who needs it."""
    from xcomctl.config.settings import Configuration, Flags

    configuration = Configuration(
        Flags(
            log_format=_value("--log-format"),
            profile=_value("--profile"),
            config=None if (config := _value("--config")) is None else Path(config),
        )
    )
    try:
        _known[:] = [configuration.log_format().value == "json"]
    except UsageError:
        _known[:] = [False]
        if configuration.says("log_format"):
            raise


def say(level: str, event: str, message: str | None, **members: Any) -> None:
    """Write one line; `hint` among the members gets a line of its own where people read."""
    if in_json():
        document = {"at": _now(), "level": level, "event": event, "message": message, **members}
        told = {name: value for name, value in document.items() if value is not None}
        text = json_safe(json.dumps(told, ensure_ascii=False))
    else:
        prefix = "" if event == "detail" else f"{event}: "
        text = prefix + visible(message or "")
        if members.get("hint"):
            text += f"\nhint: {visible(members['hint'])}"
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - cli/ is where printing belongs


def _value(option: str) -> str | None:
    """What is behind the option, the last time that it is given."""
    found = None
    for at, word in enumerate(_given):
        if word == "--":
            break
        if word == option:
            found = "".join(_given[at + 1 : at + 2]) or None
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2] or None
    return found


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
