"""What may go, on the command line: a policy file, or the options for the simple case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.scope_options import MinAge, parse_age, parse_min_age
from xcomctl.errors import UsageError

if TYPE_CHECKING:
    from xcomctl.policy import Policy
    from xcomctl.policy.file import PolicyFile

WHAT_MAY_GO = "What may go"


@dataclass(frozen=True, slots=True)
class Terms:
    """By what rows and objects are judged."""

    policy: Policy
    min_age: timedelta
    """Grace period of unreferenced objects."""
    file: PolicyFile | None
    """The policy file, None where there is none; it may say more than the policy."""

    @property
    def orphans(self) -> bool:
        """Whether orphaned objects are collected."""
        return self.file is None or self.file.orphans is not False


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """What may go. None is "not given"."""

    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="D",
            help="Rows of runs that finished longer ago than this, such as 30d, with their objects.",
            rich_help_panel=WHAT_MAY_GO,
        ),
    ] = None
    keep_last: Annotated[
        int | None,
        typer.Option(
            "--keep-last",
            metavar="N",
            min=0,
            max=1_000_000_000,
            help="Keep the newest N finished runs of each DAG; alone, all others go. 1 unless told otherwise.",
            rich_help_panel=WHAT_MAY_GO,
        ),
    ] = None
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            help="A policy file, in the place of --older-than and --keep-last.",
            rich_help_panel=WHAT_MAY_GO,
        ),
    ] = None
    min_age: MinAge = None

    def terms(self, *, unsafe_min_age: bool) -> Terms:
        """What they say. Reads the policy file. Raises UsageError for whatever is wrong about the options or the file.

        `unsafe_min_age` allows any grace period: where nothing is deleted, any may be asked about.
        """
        from xcomctl.policy import Policy

        if self.policy is None:
            age = None if self.older_than is None else parse_age("--older-than", self.older_than)
            policy = Policy(older_than=age, keep_last=self.keep_last)
            return Terms(policy, parse_min_age(self.min_age, unsafe_min_age), None)
        if self.older_than is not None or self.keep_last is not None:
            raise UsageError(
                "--policy says what may go, and so do --older-than and --keep-last",
                hint="write older_than and keep_last into the policy file",
            )
        from xcomctl.policy.file import load_policy

        file = load_policy(self.policy)
        return Terms(file.policy, parse_min_age(self.min_age, unsafe_min_age, otherwise=file.min_age), file)
