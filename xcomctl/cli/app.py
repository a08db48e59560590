"""The command `xcomctl`: its verbs, what an error looks like, the one mapping of outcomes to exit codes."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer
import typer.core

from xcomctl import __version__
from xcomctl.cli.cmd_apply import apply
from xcomctl.cli.cmd_backup import backup, backup_ls, backup_verify
from xcomctl.cli.cmd_config import config_show
from xcomctl.cli.cmd_demo import demo
from xcomctl.cli.cmd_explain import explain
from xcomctl.cli.cmd_fsck import fsck
from xcomctl.cli.cmd_gc import gc
from xcomctl.cli.cmd_log import log
from xcomctl.cli.cmd_ls import ls
from xcomctl.cli.cmd_plan import plan, plan_show
from xcomctl.cli.cmd_policy import policy_check
from xcomctl.cli.cmd_restore import restore
from xcomctl.cli.cmd_rm import rm
from xcomctl.cli.cmd_show import show
from xcomctl.cli.cmd_trash import trash_ls, trash_purge, trash_restore
from xcomctl.cli.cmd_undo import undo
from xcomctl.errors import UsageError, XcomctlError
from xcomctl.render.text import visible

EXIT_CODES = {
    0: "done",
    1: "failed",
    2: "usage or configuration",
    3: "done in part",
    4: "findings, or changes pending",
    5: "refused by a guard",
    6: "metadata database out of reach or not understood",
    7: "object store out of reach or access denied",
    130: "interrupted",
}
"""Every exit code and what it means. Errors carry theirs (`XcomctlError.exit_code`)."""

_EPILOG = "Exit codes: " + " · ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())

# typer exports only some of its error tree, and newer releases carry a copy of click of their own.
_CLICK_ERROR: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

_SETTINGS = {"help_option_names": ["-h", "--help"]}

_order: list[str] = []


class _InOrder(typer.core.TyperGroup):
    """Verbs in the order in which they are registered here; typer itself puts those with verbs below them last."""

    def list_commands(self, ctx: Any) -> list[str]:
        known = [name for name in _order if name in self.commands]
        return [*known, *(name for name in self.commands if name not in known)]


app = typer.Typer(
    name="xcomctl",
    cls=_InOrder,
    epilog=_EPILOG,
    context_settings=_SETTINGS,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"xcomctl {__version__}")
        raise typer.Exit


def _help_if_no_verb(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)
        raise typer.Exit(UsageError.exit_code)


@app.callback(invoke_without_command=True)
def xcomctl(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Join XCom rows of Airflow's metadata database to their S3 objects: list, preview, check, collect them."""
    _help_if_no_verb(context)


def _verbs(panel: str, **verbs: Callable[..., None]) -> None:
    for name, verb in verbs.items():
        app.command(name, epilog=_EPILOG, context_settings=_SETTINGS, rich_help_panel=panel)(verb)
        _order.append(name)


def _group(
    panel: str,
    name: str,
    help_text: str,
    alone: Callable[..., None] | None = None,
    **verbs: Callable[..., None],
) -> None:
    """A verb with verbs below it; `alone` is what it does without one of them, and has a help of its own."""
    group = typer.Typer()
    group.callback(invoke_without_command=True)(alone or _help_if_no_verb)
    for below, verb in verbs.items():
        group.command(below, epilog=_EPILOG, context_settings=_SETTINGS)(verb)
    app.add_typer(
        group,
        name=name,
        help=inspect.getdoc(alone) if alone else help_text,
        short_help=help_text,
        epilog=_EPILOG,
        context_settings=_SETTINGS,
        rich_help_panel=panel,
    )
    _order.append(name)


_LOOK, _COLLECT, _BACK, _SET_UP = "Look", "Collect", "Undo, back up", "Set up"

_verbs(_LOOK, ls=ls, show=show, fsck=fsck, explain=explain)
_verbs(_COLLECT, gc=gc, rm=rm)
_group(_COLLECT, "plan", "Plan a collection, to be read and applied later.", plan, show=plan_show)
_verbs(_COLLECT, apply=apply)
_group(_COLLECT, "policy", "What may go, as a team writes it down.", check=policy_check)
_verbs(_BACK, log=log, undo=undo)
_group(
    _BACK,
    "trash",
    "What collections moved out of the way.",
    ls=trash_ls,
    restore=trash_restore,
    purge=trash_purge,
)
_group(
    _BACK,
    "backup",
    "Copy XComs, rows and objects, to a safe place.",
    backup,
    ls=backup_ls,
    verify=backup_verify,
)
_verbs(_BACK, restore=restore)
_group(_SET_UP, "config", "Show the configuration.", show=config_show)
_verbs(_SET_UP, demo=demo)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code. `arguments` are those of the process if None."""
    given = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks must not end the listing.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run(given))


def _run(given: list[str]) -> int:
    """Run a verb; every way in which it can end becomes an exit code, and at most two lines on stderr."""
    debug = "--debug" in given
    try:
        outcome: Any = _command().main(given, prog_name="xcomctl", standalone_mode=False)
        sys.stdout.flush()
    except XcomctlError as error:
        return _report(str(error), error.hint, error.exit_code, debug=debug)
    except _CLICK_ERROR as error:
        return _report_usage(error)
    except (KeyboardInterrupt, typer.Abort):
        return _report("interrupted", None, 130, debug=debug)
    except BrokenPipeError:
        # The reader of stdout left (`| head`): nothing to say, and nothing more to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        hint = None if debug else "run it again with --debug for the traceback, and please report it"
        return _report(f"unexpected {type(error).__name__}: {error}", hint, 1, debug=debug)
    return outcome if isinstance(outcome, int) else 0


def _command() -> Any:
    command = typer.main.get_command(app)
    for parameter in command.params:
        # Shell completion works; two more options in every reader's way would not help them.
        if parameter.name in ("install_completion", "show_completion"):
            parameter.hidden = True  # type: ignore[attr-defined]
    return command


def _report(cause: str, hint: str | None, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    typer.echo(f"error: {visible(cause)}", err=True)
    if hint:
        typer.echo(f"hint: {visible(hint)}", err=True)
    return code


def _report_usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "xcomctl"
    return _report(error.format_message(), f"{where} --help", UsageError.exit_code, debug=False)
