"""Results as two Markdown tables: what was wanted and reached, and what everybody took."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.comparison import OURS, Measure, Result, Wanted

_BEGIN = "<!-- figures of python -m benchmarks -->"
_END = "<!-- end of figures -->"

_UNITS: Mapping[Measure, tuple[str, float]] = {
    "wall": ("time, s", 1),
    "cpu": ("CPU, s", 1),
    "peak": ("memory, MB", 1e6),
    "sent": ("fetched, MB", 1e6),
}


class Results:
    """All results so far, kept in a file, so that parts can be measured at different times."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._results: dict[str, Result] = {}
        if file.exists():
            for name, kept in json.loads(file.read_text(encoding="utf-8")).items():
                wanted = tuple(Wanted(**one) for one in kept["wanted"])
                self._results[name] = Result(name, kept["rounds"], wanted, kept["load"])

    def add(self, result: Result) -> None:
        """Keep a result in the place of an older one of the case."""
        self._results[result.name] = result
        kept = {name: asdict(one) for name, one in self._results.items()}
        self._file.write_text(json.dumps(kept, indent=1), encoding="utf-8")

    def write_into(self, page: Path) -> None:
        """Put the tables between the marks of a page. Raises ValueError where it has none."""
        text = page.read_text(encoding="utf-8")
        found = re.search(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", text, re.DOTALL)
        if found is None:
            raise ValueError(f"{page} has no place for figures")
        tables = f"{_BEGIN}\n\n{tables_of(list(self._results.values()))}\n\n{_END}"
        page.write_text(text.replace(found[0], tables), encoding="utf-8")


def tables_of(results: Sequence[Result]) -> str:
    """Both tables."""
    lines = ["| what | measured | against | wanted | reached |", "|---|---|---|---|---|"]
    for result in results:
        lines += [f"| {result.name} | {_reached(result, wanted)} |" for wanted in result.wanted]
    lines += ["", "| what | who | time, s | CPU, s | memory, MB | load |", "|---|---|---|---|---|---|"]
    for result in results:
        for name in result.rounds:
            wall, cpu, peak = (
                result.typical(name, "wall"),
                result.typical(name, "cpu"),
                result.typical(name, "peak") / 1e6,
            )
            lines.append(
                f"| {result.name} | {name} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {result.load:.0f} |"
            )
    return "\n".join(lines)


def _reached(result: Result, wanted: Wanted) -> str:
    unit, scale = _UNITS[wanted.measure]
    if wanted.than is None:
        peak = result.typical(OURS, wanted.measure) / scale
        verdict = "" if peak <= wanted.most / scale else ", **not reached**"
        return f"{unit} | | at most {wanted.most / scale:.0f} | {peak:.0f}{verdict}"
    times = result.times(wanted)
    verdict = "" if times >= wanted.times else ", **not reached**"
    return f"{unit.partition(',')[0]} | {wanted.than} | {_times(wanted.times)} | {_times(times)}{verdict}"


def _times(number: float) -> str:
    return f"{number:.3g}x" if number < 1 else f"{number:.1f}x" if number < 20 else f"{number:.0f}x"


def machine() -> str:
    """The machine in words, with how much it had to do."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({cpu[1] if cpu else platform.machine()}), {memory:.0f} GiB of memory, "
        f"{platform.system()}, Python {platform.python_version()}, load {os.getloadavg()[1]:.0f}"
    )
