"""What a command writes to stderr: notes, progress on a terminal, errors; in lines for people, or in JSON for logs.

Data never goes there. Of JSON there is one object a line.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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


Advance = Callable[[int], None]
"""Report that this many more units are done."""


class StderrLog:
    """What one run of a command writes to stderr, and how long its phases took."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self.phases: defaultdict[str, float] = defaultdict(float)
        """Seconds by phase, of those that came to an end."""

    def note(self, text: str, *, hint: str | None = None) -> None:
        """Say something that the user should know; silent with `--quiet`."""
        if not self.quiet:
            say("info", "note", text, hint=hint)

    def detail(self, text: str) -> None:
        """Say something that is of interest with `--verbose` only."""
        if self.verbose and not self.quiet:
            say("debug", "detail", text)

    def spent(self, seconds: Mapping[str, float]) -> None:
        """Add what phases took."""
        for phase, more in seconds.items():
            self.phases[phase] += more

    def milestone(self, event: str, stage: str, done: int, total: int | None, seconds: float) -> None:
        """Tell a log how far a stage is. People see it by `progress`."""
        if not self.quiet and in_json():
            say("info", event, None, stage=stage, done=done, total=total, seconds=round(seconds, 1))

    @contextmanager
    def progress(self, what: str, *, total: int | None = None, done: int = 0) -> Iterator[Advance]:
        """Show how far a long step is. `total` in units, None if unknown; `done` of them were before.

        Nothing is shown off a terminal, and where logs are JSON.
        """
        if self.quiet or not sys.stderr.isatty() or in_json():
            yield lambda _units: None
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        counted = "{task.completed:,}" if total is None else "{task.completed:,} of {task.total:,}"
        columns = [
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn(counted),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
        ]
        if total is not None:
            columns += [TextColumn("left"), TimeRemainingColumn()]
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total, completed=done, rate="")

            def advance(units: int) -> None:
                bar.advance(task, units)
                if speed := bar.tasks[0].speed:
                    bar.update(task, rate=f"{speed:,.0f}/s")

            yield advance
