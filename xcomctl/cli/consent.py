"""Asking before something is changed: at a terminal by a question, elsewhere by `--yes` alone."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from xcomctl.errors import UsageError


def consent(
    question: str,
    *,
    yes: bool,
    otherwise: str,
    hint: str = "add --yes",
    show: Callable[[], None] | None = None,
) -> bool:
    """Whether the user says yes to `question`, before which `show` shows what it is about.

    `otherwise` says what did not happen where nobody can be asked, `hint` what to type then.

    Raises UsageError where there is no terminal and no `--yes`.
    """
    if yes:
        return True
    # A closed stdin is None.
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{otherwise}, and there is no terminal to ask at", hint=hint)
    if show is not None:
        show()
    return typer.confirm(question, err=True)
