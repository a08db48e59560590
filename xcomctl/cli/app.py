"""The command `xcomctl`: what an error looks like, the one mapping of outcomes to exit codes."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from typing import Annotated, Any, cast

import typer

from xcomctl import __version__
from xcomctl.cli import stderr
from xcomctl.cli.output.text import visible
from xcomctl.cli.verbs import VerbGroup, help_if_no_verb
from xcomctl.errors import UsageError, XcomctlError

_USAGE_ERROR = cast("type[Exception]", typer.BadParameter.__base__)
"""What a wrong command line raises. Only releases since 0.27.2 export it, and Airflow's constraints ask for older ones."""

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

app = typer.Typer(
    name="xcomctl",
    cls=VerbGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"xcomctl {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def xcomctl(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Join XCom rows of Airflow's metadata database to their S3 objects: list, preview, check, collect them."""
    help_if_no_verb(context)


def main(arguments: list[str] | None = None, *, program: str = "xcomctl") -> None:
    """Run the command line and exit with its code. `arguments` are those of the process if None.

    `program` is what a user typed to get here.
    """
    given = sys.argv[1:] if arguments is None else arguments
    # Importing makes many objects that stay: with its own thresholds Python's collector looks at them again and again.
    gc.set_threshold(10_000, 10, 10)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks must not end the listing.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run(given, program))


def _run(given: list[str], program: str) -> int:
    """Run a verb; every way in which it can end becomes an exit code, and at most two lines on stderr."""
    stderr.begin(given)
    debug = "--debug" in given
    try:
        outcome = app(given, prog_name=program, standalone_mode=False)
        sys.stdout.flush()
    except XcomctlError as error:
        return _report(str(error), error.hint, error.exit_code, debug=debug)
    except _USAGE_ERROR as error:
        return _report_usage(error, program)
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


def _report(cause: str, hint: str | None, code: int, *, debug: bool) -> int:
    trace = traceback.format_exc() if debug else None
    if stderr.in_json():
        stderr.say("error", "error", cause, hint=hint, exit_code=code, traceback=trace)
        return code
    if trace:
        # It quotes what was found, and lines of code that may.
        typer.echo("\n".join(visible(line) for line in trace.split("\n")), nl=False, err=True)
    stderr.say("error", "error", cause, hint=hint)
    return code


def _report_usage(error: Any, program: str) -> int:
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else program
    # Typer of 2026 quotes pydantic, with a name for the error that says nothing to the person who typed.
    cause = error.format_message().replace(": Value error, ", ": ")
    return _report(cause, f"{where} --help", UsageError.exit_code, debug=False)
