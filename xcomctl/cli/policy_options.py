"""The policy on the command line: a file, or the flags for the simple case."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from xcomctl.cli.scope_options import parse_age
from xcomctl.errors import UsageError

if TYPE_CHECKING:
    from xcomctl.policy import Policy
    from xcomctl.policy.file import PolicyFile


class DocumentFormat(str, Enum):
    """Formats of a result that is one thing: lines for people, or one document."""

    table = "table"
    json = "json"


def read_policy(
    file: Path | None, older_than: str | None, keep_last: int | None
) -> tuple[Policy, timedelta | None, bool]:
    """The policy, the grace period if the file sets one, and whether orphans are collected. Raises UsageError."""
    from xcomctl.policy import Policy

    if file is None:
        age = None if older_than is None else parse_age("--older-than", older_than)
        return Policy(older_than=age, keep_last=keep_last), None, True
    loaded = read_policy_file(file, older_than, keep_last)
    return loaded.policy, loaded.min_age, loaded.orphans is not False


def read_policy_file(file: Path, older_than: str | None, keep_last: int | None) -> PolicyFile:
    """The policy file, if the flags that would say the same are not given. Raises UsageError."""
    if older_than is not None or keep_last is not None:
        raise UsageError(
            "--policy says what may go, and so do --older-than and --keep-last",
            hint="write older_than and keep_last into the policy file",
        )
    from xcomctl.policy.file import load_policy

    return load_policy(file)
