"""Every verb: its line in the list of verbs, and where its code is, which is imported when the verb is asked for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import typer
import typer.core

from xcomctl.cli.conversions import spare_conversions
from xcomctl.errors import UsageError

SETTINGS = {"help_option_names": ["-h", "--help"]}
"""How typer treats the command line of each verb."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb, or one word with verbs below it."""

    name: str
    summary: str
    """Its line in the list: what the docstring begins with."""
    panel: str
    place: str | None = None
    """`module:function` in `xcomctl.cli.commands`; None for a word that does nothing without a verb below it."""
    below: dict[str, str] = field(default_factory=dict)
    """Name and place of each verb below it."""

    def functions(self) -> dict[str, Callable[..., None]]:
        """What the verb and those below it call, by what is typed. Imports their modules."""
        found = {} if self.place is None else {self.name: _function(self.place)}
        return found | {f"{self.name} {name}": _function(place) for name, place in self.below.items()}

    def command(self, epilog: str) -> Any:
        """The command with its options and its own help. Imports its module."""
        made = typer.Typer(
            name=self.name, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich"
        )
        if not self.below:
            assert self.place is not None  # noqa: S101 - a verb without code is our own mistake
            _add(made, self.name, self.place, epilog)
            return spare_conversions(typer.main.get_command(made))
        alone = help_if_no_verb if self.place is None else _function(self.place)
        made.callback(
            invoke_without_command=True,
            help=self.summary if self.place is None else _help(alone),
            epilog=epilog,
            context_settings=SETTINGS,
        )(alone)
        for name, place in self.below.items():
            _add(made, name, place, epilog)
        return typer.main.get_command(made)


def _add(to: typer.Typer, name: str, place: str, epilog: str) -> None:
    verb = _function(place)
    to.command(name, help=_help(verb), epilog=epilog, context_settings=SETTINGS)(verb)


def _help(verb: Callable[..., None]) -> str:
    """The docstring, each paragraph on one line: the width of the terminal says where lines end, not the source."""
    # What looks like markup is none.
    text = re.sub(r"\[(?=[a-z#/@])", r"\\[", inspect.getdoc(verb) or "")
    paragraphs = text.split("\n\n")
    return "\n\n".join(part if part.startswith(" ") else part.replace("\n", " ") for part in paragraphs)


LOOK, COLLECT, BACK, SET_UP = "Look", "Collect", "Undo, back up", "Set up"

VERBS = (
    Verb(
        "ls",
        "List XComs, newest first: size, type, and whether they live in the database or in S3.",
        LOOK,
        "ls:ls",
    ),
    Verb(
        "show",
        "Preview one XCom: a table, a dict, a text, a pickle (never loaded), wherever it lives.",
        LOOK,
        "show:show",
    ),
    Verb(
        "diff",
        "Tell what changed from one XCom to another, or since the run before: columns, rows, cells, paths.",
        LOOK,
        "diff:diff",
    ),
    Verb(
        "fsck",
        "Check that rows and objects fit: orphaned, dangling, unresolved and foreign.",
        LOOK,
        "fsck:fsck",
    ),
    Verb(
        "du",
        "Show where the bytes are: rows, objects and sizes by DAG, or by whatever else tells them apart.",
        LOOK,
        "du:du",
    ),
    Verb("explain", "Explain why a row or an object stays or goes.", LOOK, "explain:explain"),
    Verb(
        "inventory",
        "Keep an inventory in a file: every row and every object, joined and judged, for questions in SQL.",
        LOOK,
        "inventory:inventory",
    ),
    Verb(
        "sql",
        "Question rows and objects in SQL, the dialect of DuckDB: entries, objects, rows, refs, about.",
        LOOK,
        "sql:sql",
    ),
    Verb(
        "report",
        "Save a page to look at: what fills the bucket, how it grows, what is broken, and what the policy would free.",
        LOOK,
        "report:report",
    ),
    Verb("gc", "Collect garbage: expired rows with their objects, and orphaned objects.", COLLECT, "gc:gc"),
    Verb(
        "rm",
        "Remove chosen XComs: their rows, and the objects that no other row references.",
        COLLECT,
        "rm:rm",
    ),
    Verb(
        "plan",
        "Plan a collection, to be read and applied later.",
        COLLECT,
        "plan:plan",
        {"show": "plan:plan_show"},
    ),
    Verb(
        "apply",
        "Execute a saved plan: just its actions, as far as what they are about is still as it was seen.",
        COLLECT,
        "apply:apply",
    ),
    Verb(
        "policy",
        "What may go, as a team writes it down.",
        COLLECT,
        below={"check": "policy:policy_check"},
    ),
    Verb(
        "log",
        "Show what was done to the stores, newest first: who, when, with which command, and how much.",
        BACK,
        "log:log",
    ),
    Verb(
        "undo",
        "Bring back the rows and objects that an operation deleted, as they were.",
        BACK,
        "undo:undo",
    ),
    Verb(
        "trash",
        "What collections moved out of the way.",
        BACK,
        below={
            "ls": "trash:trash_ls",
            "restore": "trash:trash_restore",
            "purge": "trash:trash_purge",
        },
    ),
    Verb(
        "backup",
        "Copy XComs, rows and objects, to a safe place.",
        BACK,
        "backup:backup",
        {"ls": "backup:backup_ls", "verify": "backup:backup_verify"},
    ),
    Verb(
        "restore",
        "Put a backup back: objects first, then the rows that reference them. Nothing is overwritten.",
        BACK,
        "restore:restore",
    ),
    Verb(
        "doctor",
        "Check the set-up, the first command to run: what is there, what is wrong, and what to do about it.",
        SET_UP,
        "doctor:doctor",
    ),
    Verb(
        "completion",
        "Print what makes bash, zsh or fish complete verbs, options, and names from the database.",
        SET_UP,
        "completion:completion",
    ),
    Verb("config", "Show the configuration.", SET_UP, below={"show": "config:config_show"}),
    Verb(
        "demo",
        "Show what xcomctl does, on a real S3 server and a metadata database made for it.",
        SET_UP,
        "demo:demo",
    ),
)
"""Every verb, in the order of the help."""


class VerbGroup(typer.core.TyperGroup):
    """The words of `VERBS`, in their order: what is listed is not imported, what is typed is."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        listed: dict[str, Any] = {
            verb.name: typer.core.TyperCommand(
                verb.name, short_help=verb.summary, help=verb.summary, rich_help_panel=verb.panel
            )
            for verb in VERBS
        }
        self.commands = listed | dict(self.commands)

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in their order; typer itself would sort some of them."""
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that was typed, whole."""
        name, command, rest = super().resolve_command(ctx, args)
        verb = next((verb for verb in VERBS if verb.name == name), None)
        return name, command if verb is None else verb.command(self.epilog or ""), rest


def help_if_no_verb(context: typer.Context) -> None:
    """Show the help where a verb is missing, and end as a usage error: a script must not go on."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)
        raise typer.Exit(UsageError.exit_code)


def _function(place: str) -> Callable[..., None]:
    module, _, name = place.partition(":")
    found: Callable[..., None] = getattr(import_module(f"xcomctl.cli.commands.{module}"), name)
    return found
