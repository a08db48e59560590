"""Options that say what a collection is, shared by `gc` and `plan`, and the plan that they make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xcomctl.cli.policy_options import WHAT_MAY_GO, PolicyOptions
from xcomctl.cli.scope_options import (
    IgnoreArchives,
    S3Inventory,
    ShardOption,
    UnsafeMinAge,
    both_sides,
    parse_keep,
    require_acceptances,
)
from xcomctl.errors import UsageError

if TYPE_CHECKING:
    from xcomctl.cli.stderr import StderrLog
    from xcomctl.config.session import Session
    from xcomctl.gc.collect import Scope
    from xcomctl.gc.plan import Plan
    from xcomctl.policy.file import PolicyFile

_TURNS = timedelta(minutes=30)

Accept = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="GUARD=VALUE",
        help="Overrule a guard by its exact value, as the refusal says it.",
        rich_help_panel="Consent",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan, delete nothing.", rich_help_panel="Consent")
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask before deleting.", rich_help_panel="Consent")
]
TrashKeep = Annotated[
    str | None,
    typer.Option(
        "--trash-keep",
        metavar="D",
        help="How long objects stay in the trash before they are purged; 0s deletes them for good.",
        show_default="14d",
        rich_help_panel="How",
    ),
]
WaitLock = Annotated[
    str | None,
    typer.Option(
        "--wait-lock",
        metavar="D",
        help="How long to wait while another xcomctl is at work on the store.",
        show_default="0s; 30m with --shard",
        rich_help_panel="How",
    ),
]
MaxRate = Annotated[
    int | None,
    typer.Option(
        "--max-rate",
        metavar="N",
        min=1,
        help="Delete at most N objects per second; it slows down by itself when the store asks for it.",
        rich_help_panel="How",
    ),
]


@dataclass(frozen=True, slots=True)
class CollectOptions(PolicyOptions):
    """What may go, and what is looked at. None is "not given"."""

    dag: Annotated[
        str | None,
        typer.Option("--dag", metavar="GLOB", help="Only XComs of these DAGs.", rich_help_panel=WHAT_MAY_GO),
    ] = None
    orphans: Annotated[
        bool | None,
        typer.Option(
            "--orphans/--no-orphans",
            help="Also objects that no row references.",
            show_default="orphans",
            rich_help_panel=WHAT_MAY_GO,
        ),
    ] = None
    uploads: Annotated[
        bool,
        typer.Option(
            "--uploads/--no-uploads",
            help="Also multipart uploads that were begun more than 7 days ago and never finished.",
            rich_help_panel=WHAT_MAY_GO,
        ),
    ] = True
    unsafe_min_age: UnsafeMinAge = False
    ignore_archives: IgnoreArchives = False
    inventory: S3Inventory = None
    shard: ShardOption = None
    trash_keep: TrashKeep = None
    accept: Accept = None

    def scope(self) -> Scope:
        """The same, as a collection takes it. Reads the policy file.

        Raises UsageError for whatever is wrong about the options or the file.
        """
        from xcomctl.gc.collect import Scope
        from xcomctl.inventory.shards import Shard

        require_acceptances(self.accept or ())
        terms = self.terms(unsafe_min_age=self.unsafe_min_age)
        choices = _beyond_the_policy(terms.file)
        if self.orphans is not None:
            choices["orphans"] = self.orphans
        if self.trash_keep is not None:
            choices["trash_keep"] = parse_keep("--trash-keep", self.trash_keep)
        scope = Scope(
            policy=replace(terms.policy, dag=self.dag),
            min_age=terms.min_age,
            uploads=self.uploads,
            ignore_archives=self.ignore_archives,
            shard=None if self.shard is None else Shard.parse(self.shard),
            **choices,
        )
        if not scope.orphans and not scope.policy.expires_anything:
            raise UsageError(
                "--no-orphans leaves nothing to collect", hint="xcomctl gc --no-orphans --older-than 30d"
            )
        return scope


def _beyond_the_policy(file: PolicyFile | None) -> dict[str, Any]:
    """What else of a `Scope` the policy file sets."""
    if file is None:
        return {}
    members = {
        "policy_digest": file.digest,
        "orphans": file.orphans,
        "max_share": file.max_share,
        "trash_keep": file.trash_keep,
        "backup_to": file.backup_to,
    }
    return {name: value for name, value in members.items() if value is not None}


def parse_wait(text: str | None, *, sharded: bool = False) -> timedelta:
    """Read `--wait-lock`. Shards that are collected at the same time take turns. Raises UsageError."""
    if text is None:
        return _TURNS if sharded else timedelta(0)
    return parse_keep("--wait-lock", text)


def make_plan(
    session: Session,
    scope: Scope,
    log: StderrLog,
    *,
    accepted: list[str] | None,
    inventory: str | None = None,
    weighed: bool = False,
) -> Plan:
    """Plan a collection of the stores of the session, showing how far it is.

    `inventory` is the URI of an S3 Inventory, `weighed` as for `plan_collection`.
    """
    from xcomctl.gc.collect import plan_collection

    with both_sides(session, log, inventory) as sides:
        return plan_collection(
            sides,
            scope,
            now=datetime.now(timezone.utc),
            endpoint=session.endpoint,
            accepted=accepted or (),
            weighed=weighed,
        )
