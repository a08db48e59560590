"""Airflow's own settings (environment, `_CMD`, `airflow.cfg`), read as Airflow reads them, without importing it.

Order, as in Airflow: the variable, its `_CMD`, its `_SECRET`, then the same for the deprecated section; then
the file's value, its `_cmd` and its `_secret`. What needs a secrets backend of Airflow is an error that says so.
"""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from xcomctl.errors import UsageError

NO_DATABASE_SCHEME = "airflow-db-not-allowed:"
"""What Airflow 3 puts in the place of the database's URL in the processes that run tasks."""

_COMMAND_SECONDS = 60
_MAX_EXPANSIONS = 10
_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})")


@dataclass(frozen=True, slots=True)
class AirflowValue:
    """One setting and where Airflow has it from: a variable, or a file with section and option."""

    value: str
    origin: str


class AirflowSettings:
    """Settings of the Airflow whose environment variables and home folder these are."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        home = environ.get("AIRFLOW_HOME") or "~/airflow"
        self.home = self._path(home)
        named = environ.get("AIRFLOW_CONFIG")
        self.file = self._path(named) if named else self.home / "airflow.cfg"

    def get(self, section: str, option: str, *, deprecated: tuple[str, ...] = ()) -> AirflowValue | None:
        """A setting, or None where Airflow's default applies. `deprecated` are sections it once lived in.

        Runs the command of a `_CMD` setting if that is what comes first. Raises UsageError where the command
        fails, the setting is a `_SECRET`, or the file cannot be read.
        """
        sections = (section, *deprecated)
        # Lazily: what comes later must not run a command or fail once there is a value.
        return next(chain(self._from_environment(sections, option), self._from_file(sections, option)), None)

    def default_database(self) -> AirflowValue | None:
        """The SQLite database that Airflow uses when nothing is set; None if there is no such file."""
        file = self.home / "airflow.db"
        return AirflowValue(f"sqlite:///{file}", "Airflow's default") if file.is_file() else None

    def _from_environment(self, sections: tuple[str, ...], option: str) -> Iterator[AirflowValue]:
        for section in sections:
            # A dot, as in common.io, cannot stand in the name of a variable.
            name = f"AIRFLOW__{section.replace('.', '_')}__{option}".upper()
            if value := self._environ.get(name):
                yield AirflowValue(self._expand(value), name)
            if command := self._environ.get(f"{name}_CMD"):
                yield AirflowValue(_output_of(self._expand(command), f"{name}_CMD"), f"{name}_CMD")
            if self._environ.get(f"{name}_SECRET"):
                raise _needs_airflow(f"{name}_SECRET", section, option)

    def _from_file(self, sections: tuple[str, ...], option: str) -> Iterator[AirflowValue]:
        for section in sections:
            if value := self._in_file(section, option):
                yield AirflowValue(value, f"{self.file} [{section}] {option}")
        for section in sections:
            if command := self._in_file(section, f"{option}_cmd"):
                origin = f"{self.file} [{section}] {option}_cmd"
                yield AirflowValue(_output_of(command, origin), origin)
        for section in sections:
            if self._in_file(section, f"{option}_secret"):
                raise _needs_airflow(f"{self.file} [{section}] {option}_secret", section, option)

    def _in_file(self, section: str, option: str) -> str:
        # Airflow's parser interpolates, so that a percent sign is written twice.
        value = self._parsed.get(section, option, fallback="").replace("%%", "%")
        return self._expand(value).strip()

    @cached_property
    def _parsed(self) -> configparser.RawConfigParser:
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(self.file.read_text(encoding="utf-8"), source=str(self.file))
        except FileNotFoundError:
            pass
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            # The parser's own text would quote the line, which may hold a password.
            cause = error.strerror if isinstance(error, OSError) else type(error).__name__
            raise UsageError(
                f"Airflow's settings {self.file} cannot be read: {cause}",
                hint="give --db and --store, or set AIRFLOW_CONFIG to the right file",
            ) from error
        return parser

    def _expand(self, text: str) -> str:
        """Replace `$NAME` and `${NAME}` until nothing changes, as Airflow does; unknown names stay."""
        for _ in range(_MAX_EXPANSIONS):
            expanded = _VARIABLE.sub(lambda m: self._environ.get(m[1] or m[2], m[0]), text)
            if expanded == text:
                break
            text = expanded
        return text

    def _path(self, text: str) -> Path:
        expanded = self._expand(text)
        home = self._environ.get("HOME")
        if home and (expanded == "~" or expanded.startswith("~/")):
            return Path(home) / expanded[2:]
        return Path(expanded).expanduser()


def _output_of(command: str, origin: str) -> str:
    """What the command of a `_CMD` setting prints, stripped. Neither the command nor its output is shown."""
    try:
        # Split and run without a shell, as Airflow does.
        done = subprocess.run(  # noqa: S603 - the user configured this command for this purpose
            shlex.split(command), capture_output=True, check=False, timeout=_COMMAND_SECONDS, text=True
        )
    except (OSError, ValueError) as error:
        raise _command_failed(origin, getattr(error, "strerror", None) or "it is not a command") from error
    except subprocess.TimeoutExpired as error:
        raise _command_failed(origin, f"no answer within {_COMMAND_SECONDS} s") from error
    if done.returncode != 0:
        raise _command_failed(origin, f"exit status {done.returncode}")
    output = done.stdout.strip()
    if not output:
        raise _command_failed(origin, "it printed nothing")
    return output


def _command_failed(origin: str, cause: str) -> UsageError:
    return UsageError(
        f"the command in {origin} failed: {cause}", hint="run that command by hand, or give --db"
    )


def _needs_airflow(origin: str, section: str, option: str) -> UsageError:
    return UsageError(
        f"{origin} names a secret that only Airflow's secrets backend can look up",
        hint=f'--db "$(airflow config get-value {section} {option})"',
    )
