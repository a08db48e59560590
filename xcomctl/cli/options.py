"""Options that several verbs share, each written once, and the frozen dataclasses they are parsed into.

A verb asks for a group by annotating a parameter with its class; `with_options` puts the options of the group
in the place of that parameter, and hands the verb the filled-in dataclass:

    @with_options
    def ls(connection: ConnectionOptions, output: OutputOptions, limit: Limit = 50) -> None: ...
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_type_hints

import typer

from xcomctl.airflow.interface import Selection
from xcomctl.cli.completion import complete_dag, complete_key, complete_ref, complete_run, complete_task
from xcomctl.cli.output.columns import OutputStyle
from xcomctl.config.settings import Flags

if TYPE_CHECKING:
    from xcomctl.cli.resource_options import ResourceOptions
    from xcomctl.cli.stderr import StderrLog
    from xcomctl.config.session import Session

_CONNECTION = "Where rows and objects live"
WHICH_ROWS = "Which rows"
_OUTPUT = "Output"


_REF = "dag/run/task[3]:key (the run may be latest), an id that ls prints, a stored reference, or s3://bucket/key."

RefArgument = Annotated[
    str, typer.Argument(metavar="REF", help=_REF, show_default=False, autocompletion=complete_ref)
]
"""One XCom or object, by any of its names."""

RefsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="REF", help=_REF, show_default=False, autocompletion=complete_ref),
]
"""Any number of them."""


class OutputFormat(str, Enum):
    """Formats of the data on stdout."""

    table = "table"
    json = "json"
    ndjson = "ndjson"
    csv = "csv"


class DocumentFormat(str, Enum):
    """Formats of a result that is one thing: lines for people, or one document."""

    table = "table"
    json = "json"


class LogFormat(str, Enum):
    """Formats of what is said on stderr."""

    text = "text"
    json = "json"


class RunState(str, Enum):
    """States of a DAG run."""

    queued = "queued"
    running = "running"
    success = "success"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Where rows and objects live, as far as the command line says it. None is "not given"."""

    db: Annotated[
        str | None,
        typer.Option(
            "--db",
            metavar="URL",
            help="Metadata database of Airflow, as in its sql_alchemy_conn.",
            rich_help_panel=_CONNECTION,
        ),
    ] = None
    db_schema: Annotated[
        str | None,
        typer.Option(
            "--db-schema",
            metavar="NAME",
            help="Schema in which Airflow's tables are.",
            rich_help_panel=_CONNECTION,
        ),
    ] = None
    ignore_places: Annotated[
        str | None,
        typer.Option(
            "--ignore-places",
            metavar="TABLES",
            help="Do not let these tables, such as variable,connection, keep objects that they mention.",
            rich_help_panel=_CONNECTION,
        ),
    ] = None
    store: Annotated[
        list[str] | None,
        typer.Option(
            "--store",
            metavar="S3_URL",
            help="Root of XCom objects, s3://bucket/prefix. May be repeated.",
            rich_help_panel=_CONNECTION,
        ),
    ] = None
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="Profile of the configuration file.",
            rich_help_panel=_CONNECTION,
        ),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Configuration file, instead of xcomctl.toml.",
            rich_help_panel=_CONNECTION,
        ),
    ] = None
    endpoint_url: Annotated[
        str | None,
        typer.Option(
            "--endpoint-url",
            metavar="URL",
            help="S3 endpoint, if it is not AWS.",
            rich_help_panel=_CONNECTION,
        ),
    ] = None
    region: Annotated[
        str | None,
        typer.Option(
            "--region", metavar="NAME", help="AWS region of the buckets.", rich_help_panel=_CONNECTION
        ),
    ] = None
    aws_profile: Annotated[
        str | None,
        typer.Option(
            "--aws-profile",
            metavar="NAME",
            help="Profile of the AWS configuration (credentials come from there or the environment).",
            rich_help_panel=_CONNECTION,
        ),
    ] = None

    def open(self, resources: ResourceOptions | None = None) -> Session:
        """Open a session with these options over the environment and the files. Use it in a `with`.

        Nothing is connected before it is used. Raises UsageError for a bad option or configuration.
        """
        from xcomctl.config.session import Session

        return Session(self.flags(resources).load())

    def flags(self, resources: ResourceOptions | None = None) -> Flags:
        """The same, as the configuration takes it."""
        return Flags(
            db=self.db,
            db_schema=self.db_schema,
            ignore_places=self.ignore_places,
            stores=tuple(self.store or ()),
            profile=self.profile,
            config=self.config,
            endpoint_url=self.endpoint_url,
            region=self.region,
            aws_profile=self.aws_profile,
            memory=None if resources is None else resources.memory,
            threads=None if resources is None else resources.threads,
            tmp=None if resources is None else resources.tmp,
        )


def _glob(name: str, help_text: str, complete: Callable[..., Any]) -> Any:
    """An option that takes a glob on one of the names of an XCom."""
    return typer.Option(
        name, metavar="GLOB", help=help_text, rich_help_panel=WHICH_ROWS, autocompletion=complete
    )


def dag_glob(help_text: str) -> Any:
    """The option `--dag` of a verb that means more by it than others do."""
    return _glob("--dag", help_text, complete_dag)


def run_glob(help_text: str) -> Any:
    """The same of `--run`."""
    return _glob("--run", help_text, complete_run)


@dataclass(frozen=True, slots=True)
class NameOptions:
    """Which XComs, by globs on their names. None is "not given"."""

    dag: Annotated[str | None, dag_glob("DAG id, or a glob such as 'etl_*'.")] = None
    run: Annotated[str | None, run_glob("Run id, or a glob.")] = None
    task: Annotated[str | None, _glob("--task", "Task id, or a glob.", complete_task)] = None
    key: Annotated[str | None, _glob("--key", "XCom key, or a glob.", complete_key)] = None

    def selection(self) -> Selection:
        """The same, as a source takes it."""
        return Selection(dag=self.dag, run=self.run, task=self.task, key=self.key)


@dataclass(frozen=True, slots=True)
class SelectionOptions(NameOptions):
    """Which rows, by their names and what else a table says of them."""

    map_index: Annotated[
        int | None,
        typer.Option(
            "--map-index",
            metavar="N",
            min=-1,
            help="Index of a mapped task, -1 if unmapped.",
            rich_help_panel=WHICH_ROWS,
        ),
    ] = None
    state: Annotated[
        RunState | None, typer.Option("--state", help="State of the run.", rich_help_panel=WHICH_ROWS)
    ] = None

    def selection(self) -> Selection:
        """The same, as a source takes it."""
        return dataclasses.replace(
            NameOptions.selection(self),
            map_index=self.map_index,
            state=None if self.state is None else self.state.value,
        )


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How the data on stdout is written."""

    output: Annotated[
        OutputFormat,
        typer.Option("-o", "--output", help="Format of the data.", rich_help_panel=_OUTPUT),
    ] = OutputFormat.table
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns", metavar="A,B", help="Only these columns, in this order.", rich_help_panel=_OUTPUT
        ),
    ] = None
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            metavar="TEXT",
            help="A line per row, as in '{dag_id} {size}'.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None

    def style(self) -> OutputStyle:
        """The same, as the renderers take it. Raises UsageError where the options contradict each other."""
        return OutputStyle.parse(self.output.value, self.columns, self.template)


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How much is said on stderr, and how; `stderr` finds `log_format` on the command line itself."""

    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Only errors on stderr.", rich_help_panel=_OUTPUT)
    ] = False
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Say more on stderr.", rich_help_panel=_OUTPUT)
    ] = False
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=_OUTPUT)
    ] = False
    log_format: Annotated[
        LogFormat | None,
        typer.Option(
            "--log-format",
            help="What is said on stderr, as text or as a JSON object per line.",
            show_default="text",
            rich_help_panel=_OUTPUT,
        ),
    ] = None

    def log(self) -> StderrLog:
        """What says it. Raises UsageError where XCOMCTL_LOG_FORMAT is no format."""
        from xcomctl.cli import stderr
        from xcomctl.cli.stderr import StderrLog

        stderr.require_format()

        return StderrLog(quiet=self.quiet, verbose=self.verbose)


def with_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options of every group that it asks for.

    The result has one keyword parameter per option, as typer wants it, and calls `verb` with groups filled in.
    """
    groups: dict[str, tuple[Any, list[str]]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(verb, eval_str=True).parameters.values():
        members, kind = [parameter], parameter.annotation
        if dataclasses.is_dataclass(kind):
            # A group may extend one of another module, whose names its own module does not have.
            hints = get_type_hints(kind, include_extras=True)
            members = [
                member.replace(annotation=hints[member.name])
                for member in inspect.signature(cast(type, kind)).parameters.values()
            ]
            groups[parameter.name] = kind, [member.name for member in members]
        parameters += [member.replace(kind=parameter.KEYWORD_ONLY) for member in members]

    @functools.wraps(verb)
    def run(**given: Any) -> None:
        for name, (group, members) in groups.items():
            given[name] = group(**{member: given.pop(member) for member in members})
        verb(**given)

    # What `inspect.signature` and so typer takes for the parameters.
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run
