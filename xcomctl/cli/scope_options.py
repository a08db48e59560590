"""Options that say what is looked at, and where the stores come from when none is given."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.options import WHICH_ROWS
from xcomctl.cli.stages import stages
from xcomctl.errors import UsageError
from xcomctl.models import Root
from xcomctl.units import LONGEST_AGE, format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from xcomctl.airflow.interface import Selection
    from xcomctl.cli.stderr import StderrLog
    from xcomctl.config.session import Session
    from xcomctl.inventory.judging import Sides
    from xcomctl.s3.interface import StoredListing

LOOKED_AT = "What is looked at"

MinAge = Annotated[
    str | None,
    typer.Option(
        "--min-age",
        metavar="D",
        help="Grace period: an unreferenced object that is younger, by the store's clock, is left alone.",
        show_default="24h",
        rich_help_panel=LOOKED_AT,
    ),
]
UnsafeMinAge = Annotated[
    bool,
    typer.Option(
        "--unsafe-min-age",
        help="Allow --min-age below 1h: only safe while no task is running.",
        rich_help_panel=LOOKED_AT,
    ),
]
IgnoreArchives = Annotated[
    bool,
    typer.Option(
        "--ignore-archives",
        help="Do not let Airflow's archive tables (db clean, upgrade to 3) keep objects.",
        rich_help_panel=LOOKED_AT,
    ),
]


S3Inventory = Annotated[
    str | None,
    typer.Option(
        "--inventory",
        metavar="URI",
        help="The manifest.json of an S3 Inventory, in the place of listing the store; its time is that of the objects.",
        rich_help_panel=LOOKED_AT,
    ),
]


ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Only share I of N of the DAGs and objects: N machines find together what one does.",
        rich_help_panel=LOOKED_AT,
    ),
]


@contextmanager
def both_sides(session: Session, log: StderrLog, s3_inventory: str | None = None) -> Iterator[Sides]:
    """What there is to judge, showing how far it is read: the rows, and the objects below the roots.

    `s3_inventory` is the URI of an S3 Inventory that stands for listing them. Raises UsageError where no root is known,
    and as `open_inventory` does.
    """
    from xcomctl.inventory.judging import Sides

    roots = resolve_roots(session, log)
    listing = open_inventory(session, s3_inventory, roots, log)
    with stages(log) as report:
        yield Sides(
            session.source,
            session.store if roots else None,
            session.dialects,
            roots,
            listing,
            session.resources,
            report,
        )


def open_inventory(
    session: Session, uri: str | None, roots: Sequence[Root], log: StderrLog
) -> StoredListing | None:
    """The S3 Inventory at `uri`, None where none is given, with a word on how old it is.

    Raises UsageError where it does not fit the roots, RefusedError where it is too old, NotFoundError, StoreError.
    """
    if uri is None:
        return None
    if not roots:
        raise UsageError("--inventory is of a bucket, and no store is given", hint="add --store s3://BUCKET")
    listing = session.inventory(uri, roots)
    log.note(f"objects as of {format_time(listing.taken_at)}, from {uri}")
    return listing


def parse_min_age(text: str | None, unsafe: bool, *, otherwise: timedelta | None = None) -> timedelta:
    """Read `--min-age`; where it is not given, `otherwise`, or what is usual.

    Raises UsageError below one hour without `--unsafe-min-age`.
    """
    from xcomctl.inventory.scan import DEFAULT_MIN_AGE
    from xcomctl.policy import LEAST_MIN_AGE

    if text is None:
        return DEFAULT_MIN_AGE if otherwise is None else otherwise
    grace = _within_reach("--min-age", text)
    if grace < LEAST_MIN_AGE and not unsafe:
        raise UsageError(
            f"--min-age {text} is below 1h: an object is uploaded before its row is written, so it may be in use",
            hint=f"add --unsafe-min-age if no task is running: --min-age {text} --unsafe-min-age",
        )
    return grace


def parse_age(option: str, text: str) -> timedelta:
    """Read an age such as `--older-than 30d`. Raises UsageError for anything that is not above zero."""
    age = _within_reach(option, text)
    if age <= timedelta(0):
        raise UsageError(
            f"{option} {text} selects everything, also what was written just now", hint=f"{option} 30d"
        )
    return age


@dataclass(frozen=True, slots=True)
class WrittenOptions:
    """Which XComs, by the time at which they were written. None is "not given"."""

    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Written at that time or later.", rich_help_panel=WHICH_ROWS
        ),
    ] = None
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Written before.", rich_help_panel=WHICH_ROWS),
    ] = None
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="AGE",
            help="Written longer ago, as in 30d or 12h.",
            rich_help_panel=WHICH_ROWS,
        ),
    ] = None

    def within(self, selection: Selection, now: datetime) -> Selection:
        """What is written in that time of what is selected. Raises UsageError for a bad time, and where there is no room."""
        since = None if self.since is None else parse_time(self.since, now=now)
        ends = [] if self.until is None else [parse_time(self.until, now=now)]
        if self.older_than is not None:
            ends.append(now - parse_age("--older-than", self.older_than))
        until = min(ends, default=None)
        if since is not None and until is not None and since >= until:
            raise UsageError(
                "the times leave no room: --since is not before the end", hint="swap them, or drop one"
            )
        return replace(selection, since=since, until=until)


def parse_keep(option: str, text: str) -> timedelta:
    """Read how long something is kept; `0s` is not at all. Raises UsageError."""
    return _within_reach(option, text)


def require_acceptances(words: Sequence[str]) -> None:
    """Raise UsageError for an `--accept` that is none, before anything is read."""
    if words:
        from xcomctl.gc.guards import acceptances

        acceptances(words)


def _within_reach(option: str, text: str) -> timedelta:
    """A duration, as long as it does not lead back to before there were calendars."""
    duration = parse_duration(text)
    if duration > LONGEST_AGE:
        raise UsageError(f"{option} {text} is too long ago", hint=f"{option} 30d")
    return duration


def resolve_roots(session: Session, log: StderrLog) -> tuple[Root, ...]:
    """The configured roots; where there are none and no reference needs one, the empty tuple.

    Raises UsageError that proposes the roots that the stored references themselves show.
    """
    if session.roots:
        return tuple(session.roots)
    from xcomctl.inventory.scan import propose_roots

    found = propose_roots(session.source, session.dialects)
    if not found:
        log.note("no store is configured, and no row references an object: only rows are looked at")
        return ()
    known = [root for root, _ in found.most_common() if root]
    unplaced = found[""]
    if not known:
        raise UsageError(
            f"no store is configured, and {unplaced} references do not name their bucket",
            hint="add --store s3://BUCKET",
        )
    counts = ", ".join(f"{found[root]} references to {root}" for root in known[:5])
    more = f", {unplaced} that name no bucket" if unplaced else ""
    raise UsageError(
        f"no store is configured; the database holds {counts}{more}",
        hint="add " + " ".join(f"--store {shlex.quote(root)}" for root in known[:5]),
    )
