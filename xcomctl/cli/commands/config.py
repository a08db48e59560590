"""`xcomctl config show`: every setting, its value without secrets, and where it comes from."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import typer

from xcomctl.cli.options import ConnectionOptions, LogOptions, OutputOptions, with_options
from xcomctl.cli.output import formats as data
from xcomctl.cli.output.columns import Column
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.verbs import help_if_no_verb
from xcomctl.config.masking import mask_url
from xcomctl.config.settings import Configuration, Setting
from xcomctl.errors import UsageError
from xcomctl.units import format_size


@dataclass(frozen=True, slots=True)
class _Line:
    setting: str
    value: str | list[str] | None
    origin: str


app = typer.Typer(help="Show the configuration.", callback=help_if_no_verb, invoke_without_command=True)


@app.command("show")
@with_options
def config_show(
    connection: ConnectionOptions, resources: ResourceOptions, output: OutputOptions, log_options: LogOptions
) -> None:
    """Print each setting with its value, secrets masked, and its origin.

    A setting that is absent or wrong is shown with the reason. Nothing is connected.
    """
    style = output.style()
    named = None if log_options.log_format is None else log_options.log_format.value
    configuration = replace(connection.flags(resources), log_format=named).load()
    data.write(_lines(configuration), _COLUMNS, style, sys.stdout)


def _human(line: _Line) -> str:
    return ", ".join(line.value) if isinstance(line.value, list) else line.value or ""


_COLUMNS: list[Column[_Line]] = [
    Column("setting", lambda line: line.setting, "SETTING"),
    Column("value", lambda line: line.value, "VALUE", human=_human),
    Column("origin", lambda line: line.origin, "ORIGIN"),
]


def _lines(configuration: Configuration) -> Iterator[_Line]:
    # What the file says of every other setting rests on these two: they may fail.
    file = configuration.file
    yield _Line("config", None if file is None else str(file.path), "default" if file is None else "file")
    yield _line("profile", configuration.profile, str)
    yield _line("db", configuration.database, mask_url)
    yield _line("db_schema", configuration.db_schema, str)
    yield _line("ignore_places", configuration.ignore_places, list)
    yield _line("stores", configuration.stores, lambda roots: [root.uri for root in roots])
    yield _line("endpoint_url", configuration.endpoint_url, mask_url)
    yield _line("region", configuration.region, str)
    yield _line("aws_profile", configuration.aws_profile, str)
    yield _line("memory", configuration.memory, format_size)
    yield _line("threads", configuration.threads, str)
    yield _line("tmp", configuration.tmp, str)
    yield _line("log_format", configuration.log_format, str)
    rules = configuration.dialect_rules()
    origin = str(file.path) if file is not None and rules else "default"
    yield _Line("dialects", [rule.name for rule in rules], origin)


def _line(name: str, look_up: Callable[[], Setting[Any]], shown: Callable[[Any], str | list[str]]) -> _Line:
    try:
        setting = look_up()
    except UsageError as error:
        return _Line(name, None, str(error))
    return _Line(name, None if setting.value is None else shown(setting.value), setting.origin)
