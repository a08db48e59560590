"""Every verb: its line in the list of verbs, and its command, whose module is imported when the verb is asked for."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import typer
import typer.core

from xcomctl.cli.conversions import spare_conversions
from xcomctl.errors import UsageError

PANELS = {
    "Look": {
        "ls": "List XComs, newest first: size, type, and whether they live in the database or in S3.",
        "show": "Preview one XCom: a table, a dict, a text, a pickle (never loaded), wherever it lives.",
        "diff": "Tell what changed from one XCom to another, or since the run before: columns, rows, cells, paths.",
        "fsck": "Check that rows and objects fit: orphaned, dangling, unresolved and foreign.",
        "du": "Show where the bytes are: rows, objects and sizes by DAG, or by whatever else tells them apart.",
        "explain": "Explain why a row or an object stays or goes.",
        "inventory": "Keep an inventory in a file: every row and every object, joined and judged, for questions in SQL.",
        "sql": "Question rows and objects in SQL, the dialect of DuckDB: entries, objects, rows, refs, about.",
        "report": "Save a page to look at: what fills the bucket, how it grows, what is broken, "
        "and what the policy would free.",
    },
    "Collect": {
        "gc": "Collect garbage: expired rows with their objects, and orphaned objects.",
        "rm": "Remove chosen XComs: their rows, and the objects that no other row references.",
        "plan": "Plan a collection, to be read and applied later.",
        "apply": "Execute a saved plan: just its actions, as far as what they are about is still as it was seen.",
        "policy": "What may go, as a team writes it down.",
    },
    "Undo, back up": {
        "log": "Show what was done to the stores, newest first: who, when, with which command, and how much.",
        "undo": "Bring back the rows and objects that an operation deleted, as they were.",
        "trash": "What collections moved out of the way.",
        "backup": "Copy XComs, rows and objects, to a safe place.",
        "restore": "Put a backup back: objects first, then the rows that reference them. Nothing is overwritten.",
    },
    "Set up": {
        "doctor": "Check the set-up, the first command to run: what is there, what is wrong, and what to do about it.",
        "completion": "Print what makes bash, zsh or fish complete verbs, options, and names from the database.",
        "config": "Show the configuration.",
        "demo": "Show what xcomctl does, on a real S3 server and a metadata database made for it.",
    },
}
"""The verbs in the order of the help, by panel: of each what its docstring begins with."""

_SUMMARIES = {name: summary for verbs in PANELS.values() for name, summary in verbs.items()}


class VerbGroup(typer.core.TyperGroup):
    """The verbs of `PANELS`: what is listed is not imported, what is typed is."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        listed: dict[str, Any] = {
            name: typer.core.TyperCommand(name, short_help=summary, rich_help_panel=panel)
            for panel, verbs in PANELS.items()
            for name, summary in verbs.items()
        }
        self.commands = listed | dict(self.commands)

    def get_params(self, ctx: Any) -> list[Any]:
        """Its options, without typer's for shell completion: `xcomctl completion` also knows colons in words."""
        return [each for each in super().get_params(ctx) if not each.name.endswith("_completion")]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As ever, but without conversions."""
        spare_conversions(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that was typed, whole."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, _load(name, ctx) if name in _SUMMARIES else command, rest


def _load(name: str, ctx: Any) -> Any:
    """The command of a verb, with those below it: of the module's Typer, `app`, or else of its function of that name."""
    module = import_module(f"xcomctl.cli.commands.{name}")
    command: Any
    if hasattr(module, "app"):
        command = typer.main.get_group(module.app)
    else:
        app = typer.Typer(add_completion=False)
        app.command(name)(getattr(module, name))
        command = typer.main.get_command(app)
    for each in (command, *getattr(command, "commands", {}).values()):
        each.help, each.epilog = _flowing(each.help), ctx.command.epilog
        spare_conversions(each.get_params(ctx))
    return command


def help_if_no_verb(context: typer.Context) -> None:
    """Show the help where a verb is missing, and end as a usage error: a script must not go on."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)
        raise typer.Exit(UsageError.exit_code)


def _flowing(text: str) -> str:
    """A docstring with each paragraph on one line: the width of the terminal says where lines end, not the source."""
    # What looks like markup is none.
    paragraphs = re.sub(r"\[(?=[a-z#/@])", r"\\[", text).split("\n\n")
    return "\n\n".join(part if part.startswith(" ") else part.replace("\n", " ") for part in paragraphs)
