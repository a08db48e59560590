"""A checked policy file as people read it: its rules, the most specific first, and what they match."""

from __future__ import annotations

from collections.abc import Iterator

from xcomctl.cli.output.text import visible
from xcomctl.inventory.policy_check import PolicyMatches
from xcomctl.policy import Rule
from xcomctl.policy.file import PolicyFile
from xcomctl.units import exact_duration, format_size


def policy_lines(file: PolicyFile, matches: PolicyMatches | None) -> Iterator[str]:
    """A table of the rules; with `matches` also how many rows each is for, and how many would go now."""
    rules, pins = file.policy.ordered_rules, len(file.policy.pins)
    table = [["RULE", "FOR", "LETS GO"], *([rule.place or "", _for(rule), _lets_go(rule)] for rule in rules)]
    if matches is not None:
        counts = [["ROWS", "GO NOW"], *([f"{one.rows:,}", f"{one.expiring:,}"] for one in matches.rules)]
        table = [counted + line for counted, line in zip(counts, table, strict=True)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        cells = [
            cell.rjust(width) if title in ("ROWS", "GO NOW") else cell.ljust(width)
            for title, cell, width in zip(table[0], line, widths, strict=True)
        ]
        yield visible("  ".join(cells).rstrip())
    if pins:
        kept = "" if matches is None else f", rows kept by them: {matches.pinned:,}"
        yield f"{pins} {'pin' if pins == 1 else 'pins'}{kept}"


def _for(rule: Rule) -> str:
    named = (("dag", rule.dag), ("task", rule.task), ("key", rule.key))
    return ", ".join(f"{name} {glob}" for name, glob in named if glob) or "all others"


def _lets_go(rule: Rule) -> str:
    if not rule.lets_go:
        return "nothing"
    kept = []
    if rule.runs_kept:
        kept.append("last run" if rule.runs_kept == 1 else f"last {rule.runs_kept} runs")
    if rule.keep_last_per_key:
        kept.append(f"last {rule.keep_last_per_key} per key")
    if rule.keep_failed is not None:
        kept.append(
            "failed" if rule.keep_failed is True else f"failed for {exact_duration(rule.keep_failed)}"
        )
    if rule.min_size:
        kept.append(f"below {format_size(rule.min_size)}")
    older = "all" if rule.older_than is None else f"older than {exact_duration(rule.older_than)}"
    return older + (f", not: {', '.join(kept)}" if kept else "")
