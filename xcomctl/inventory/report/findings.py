"""What a report advises: each finding in words, with the command that one would type next."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from xcomctl.inventory.report.figures import Figures
from xcomctl.inventory.snapshot_file import About


@dataclass(frozen=True, slots=True)
class ReportFinding:
    """One kind of thing that was found."""

    kind: str
    title: str
    meaning: str
    command: str
    """What to type next."""
    alarming: bool
    """Whether something is wrong, as `fsck` has it."""
    noun: str
    count: int
    bytes: int | None
    """None where it is about rows whose objects are not there."""
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    title: str
    meaning: str
    command: Callable[[About], str]
    noun: str = "object"
    alarming: bool = False
    weighs: bool = True


_FOREIGN = "select uri, size from objects where state = 'foreign' order by size desc"

_KINDS = {
    "dangling": _Kind(
        "Rows whose object is gone",
        "A task that pulls one of these fails. Somebody deleted the objects, or a lifecycle rule of the bucket did.",
        lambda about: f"xcomctl fsck{_stores(about)} -o ndjson | jq -r 'select(.finding == \"dangling\")'",
        noun="row",
        alarming=True,
        weighs=False,
    ),
    "unresolved": _Kind(
        "Rows whose object cannot be judged",
        "Their objects lie outside of the stores that were looked at, or could not be asked for. Name their store, too.",
        lambda about: f"xcomctl fsck{_stores(about)} --store s3://BUCKET/PREFIX",
        noun="row",
        alarming=True,
        weighs=False,
    ),
    "orphaned": _Kind(
        "Objects that no row references",
        "They are paid for and cannot be reached. This command shows what would go and deletes nothing.",
        lambda about: f"xcomctl gc{_stores(about)}{_options(about)} --dry-run",
        alarming=True,
    ),
    "expired": _Kind(
        "Objects that the policy lets go",
        "Their runs are over and old enough. This command shows what would go, rows too, and deletes nothing.",
        lambda about: f"xcomctl gc{_stores(about)}{_options(about)} --dry-run",
    ),
    "trash": _Kind(
        "Objects in the trash",
        "What collections moved out of the way, as far as it is copies. It is purged by later collections.",
        lambda about: f"xcomctl trash ls{_stores(about)}",
    ),
    "archived": _Kind(
        "Rows in Airflow's archive tables",
        "What airflow db clean put aside. They keep their objects alive. Airflow drops these tables, after a question.",
        lambda about: "airflow db drop-archived",
        noun="row",
    ),
    "foreign": _Kind(
        "Objects that no known backend wrote",
        "They are never touched. If they are XComs of a backend of yours, xcomctl.toml can describe it.",
        lambda about: f'xcomctl sql{_stores(about)} "{_FOREIGN}"',
    ),
}
"""In the order in which they matter."""


def findings_of(figures: Figures) -> list[ReportFinding]:
    """What was found, in the order in which it matters; nothing for a kind of which there is none."""
    found = {record["kind"]: record for record in figures.findings}
    return [
        ReportFinding(
            name,
            kind.title,
            kind.meaning,
            kind.command(figures.about),
            kind.alarming,
            kind.noun,
            found[name]["count"],
            found[name]["bytes"] if kind.weighs else None,
            tuple(found[name]["names"]),
        )
        for name, kind in _KINDS.items()
        if name in found
    ]


def _stores(about: About) -> str:
    return "".join(f" --store {shlex.quote(root)}" for root in about.roots)


def _options(about: About) -> str:
    return "" if about.options is None else f" {about.options}"
