"""Asking before something is changed: at a terminal by a question, elsewhere by `--yes` alone."""

from __future__ import annotations

import sys

import typer

from xcomctl.errors import UsageError


def consent(question: str, *, yes: bool, otherwise: str) -> bool:
    """Whether the user says yes to `question`. `otherwise` says what did not happen where nobody can be asked.

    Raises UsageError where there is no terminal and no `--yes`.
    """
    if yes:
        return True
    # A closed stdin is None.
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{otherwise}, and there is no terminal to ask at", hint="add --yes")
    return typer.confirm(question, err=True)
