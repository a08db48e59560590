"""Options that say what an inventory is of, and the inventory that they make, in a file, or ask."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xcomctl.cli.policy_options import PolicyOptions
from xcomctl.cli.scope_options import LOOKED_AT, IgnoreArchives, ShardOption, both_sides
from xcomctl.errors import UsageError
from xcomctl.files import TemporaryFolder
from xcomctl.inventory.shards import Shard

if TYPE_CHECKING:
    from xcomctl.cli.stderr import StderrLog
    from xcomctl.config.session import Session
    from xcomctl.inventory.snapshot_file import SnapshotFile

SnapshotFileOption = Annotated[
    str | None,
    typer.Option(
        "--inventory",
        metavar="FILE",
        help="A kept inventory, or the manifest.json of an S3 Inventory. Without it, all is listed now.",
        rich_help_panel=LOOKED_AT,
    ),
]


def out_file(help_text: str) -> Any:
    """The option that says where the one file goes that a verb makes of an inventory."""
    return typer.Option("--out", metavar="FILE", help=help_text, show_default=False)


@dataclass(frozen=True, slots=True)
class JudgingOptions(PolicyOptions):
    """By what rows and objects are judged. None is "not given"."""

    ignore_archives: IgnoreArchives = False
    shard: ShardOption = None

    @property
    def given(self) -> bool:
        """Whether any of them is."""
        return self != JudgingOptions()

    @property
    def said(self) -> str | None:
        """Those that were given, as one would type them; None if none was. Without the shard, which is told apart."""
        given = {
            "--older-than": self.older_than,
            "--keep-last": self.keep_last,
            "--policy": self.policy,
            "--min-age": self.min_age,
        }
        words = [word for name, value in given.items() if value is not None for word in (name, str(value))]
        words += ["--ignore-archives"] if self.ignore_archives else []
        return shlex.join(words) or None


def make_inventory(
    path: Path, session: Session, judging: JudgingOptions, log: StderrLog, *, s3_inventory: str | None = None
) -> None:
    """Take the inventory of the session's database and stores, and keep it at `path`, showing how far it is.

    Raises UsageError, SourceError, StoreError.
    """
    from xcomctl.inventory.judging import Question
    from xcomctl.inventory.snapshot_file import write_snapshot_file

    # Nothing is deleted here, so any grace period may be asked about.
    terms = judging.terms(unsafe_min_age=True)
    question = Question(
        terms.policy,
        min_age=terms.min_age,
        ignore_archives=judging.ignore_archives,
        shard=None if judging.shard is None else Shard.parse(judging.shard),
    )
    with both_sides(session, log, s3_inventory) as sides:
        write_snapshot_file(path, sides, question, options=judging.said)


def snapshot_file_to_query(
    named: str | None, session: Session, judging: JudgingOptions, log: StderrLog, opened: ExitStack
) -> SnapshotFile:
    """The inventory that is to be asked: the file, or one that is made now, and is gone when `opened` is closed.

    Raises UsageError, SourceError, StoreError.
    """
    from xcomctl.inventory.snapshot_file import open_snapshot_file

    if named is not None and "://" not in named:
        if judging.given:
            raise UsageError(
                "the inventory was judged when it was made: options such as --older-than change nothing now",
                hint="give them to xcomctl inventory, or leave out --inventory",
            )
        return open_snapshot_file(Path(named).expanduser(), session.resources)
    folder = opened.enter_context(TemporaryFolder(session.resources.tmp))
    path = Path(folder) / "inventory.duckdb"
    make_inventory(path, session, judging, log, s3_inventory=named)
    return open_snapshot_file(path, session.resources)
