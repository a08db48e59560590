"""Figures as one HTML file that fetches nothing, runs nothing but its own two scripts, and can be read without them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from xcomctl import __version__
from xcomctl.errors import UsageError
from xcomctl.files import require_folder, written_aside
from xcomctl.inventory.report.figures import Branch, Figures, Record, Weight
from xcomctl.inventory.report.findings import findings_of
from xcomctl.units import format_size, format_time, quantity

_PROGRAM = ("page.js", "charts.js", "treemap.js", "tables.js", "start.js")
"""The program of the page: one script, in this order."""

_UNKNOWN = {"dag": "(no DAG)", "task": "(no task)", "key": "(no key)"}


@dataclass(frozen=True, slots=True)
class _StateBar:
    """A line of a table with a bar. Its length is in percent of the longest one."""

    state: State
    count: int
    bytes: int
    percent: float


def require_libraries() -> None:
    """Raise UsageError where what draws the charts is not installed."""
    try:
        import jinja2  # noqa: F401 - whether it is there
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"a report needs {error.name}, which is not installed", hint="pip install 'xcomctl[report]'"
        ) from error


def render_page(figures: Figures) -> str:
    """The page. Raises UsageError where what draws the charts is not installed."""
    require_libraries()
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("xcomctl.inventory.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": format_size, "time": format_time, "quantity": quantity, "name": _name}
    inlined = {
        "library": _library(),
        "program": "\n".join(map(_part, _PROGRAM)),
        "style": _part("page.css"),
    }
    template = environment.get_template("page.html")
    return template.render(
        _inlined(inlined),
        generator=f"{GENERATOR} {__version__}",
        about=figures.about,
        weight=figures.weight,
        object_states=_state_bars(figures.totals, "objects", OBJECTS),
        row_states=_state_bars(figures.totals, "rows", ROWS),
        findings=findings_of(figures),
        dags=figures.dags,
        growth=_growth(figures.growth),
        ages=_ages(figures.ages),
        age_states=[state for state in (*OBJECTS, ROWS[1]) if _of_state(figures.ages, state.name)],
        age_bands=AGES,
        freed=figures.freed,
        freed_total={
            name: sum(record[name] for record in figures.freed)
            for name in ("rows", "row_bytes", "expired", "orphaned", "object_bytes")
        },
        largest=figures.largest,
        judged=sum(
            total["count"]
            for total in figures.totals
            if (total["what"] == "objects" and total["state"] != "reserved") or total["state"] == "inline"
        ),
        charts={
            "tree": [_node(dag, ("dag", "task", "key")) for dag in figures.dags],
            "growth": [
                [
                    None if record["day"] is None else record["day"].isoformat(),
                    record["object_bytes"],
                    record["row_bytes"],
                ]
                for record in figures.growth
            ],
            "step": figures.growth[0]["step"] if figures.growth else "day",
            "until": figures.about.created_at.date().isoformat(),
            "ages": [
                [record["band"], record["state"], record["count"], record["bytes"]] for record in figures.ages
            ],
            "bands": AGES,
            "states": {state.name: state.title for state in (*ROWS, *OBJECTS)},
        },
    )


@cache
def _library() -> str:
    """Vega and Vega-Lite in one script, as the package carries them: nothing is fetched. It takes a second to make."""
    from vl_convert import javascript_bundle

    return javascript_bundle("window.vegaEmbed = vegaEmbed;")


def _part(name: str) -> str:
    return resources.files(__package__).joinpath(f"page/{name}").read_text(encoding="utf-8")


def _inlined(parts: Mapping[str, str]) -> dict[str, Any]:
    """Scripts and styles as they stand in the page, and the policy by which a browser runs these and nothing else."""
    from markupsafe import Markup

    for name, text in parts.items():
        lowered = text.lower()
        # The end of the tag in a text would end it for the browser, too.
        if "</script" in lowered or "</style" in lowered or "<!--" in text:
            raise AssertionError(f"{name} cannot stand in a page")
    hashes = {
        name: f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for name, text in parts.items()
    }
    policy = (
        f"default-src 'none'; script-src {hashes['library']} {hashes['program']}; style-src {hashes['style']};"
        " base-uri 'none'; form-action 'none'"
    )
    return {name: Markup(text) for name, text in parts.items()} | {"content_policy": policy}  # noqa: S704 - our own


def _state_bars(totals: list[Record], what: str, states: tuple[State, ...]) -> list[_StateBar]:
    found = {total["state"]: total for total in totals if total["what"] == what}
    longest = max((total["bytes"] or 0 for total in found.values()), default=0) or 1
    return [
        _StateBar(
            state,
            found[state.name]["count"],
            found[state.name]["bytes"] or 0,
            100 * (found[state.name]["bytes"] or 0) / longest,
        )
        for state in states
        if state.name in found
    ]


def _name(branch: Branch, level: str) -> str:
    if branch.others:
        return quantity(branch.others, f"other {level}" if level != "dag" else "other DAG")
    return _UNKNOWN[level] if branch.name is None else branch.name


def _node(branch: Branch, levels: tuple[str, ...]) -> dict[str, Any]:
    """A branch as the page's program reads it."""
    level, *deeper = levels
    weight: Weight = branch.weight
    made: dict[str, Any] = {
        "n": _name(branch, level),
        "s": weight.object_bytes,
        "d": weight.row_bytes,
        "o": weight.objects,
        "r": weight.rows,
        "f": weight.freed_bytes,
    }
    if branch.below:
        made["c"] = [_node(one, tuple(deeper)) for one in branch.below]
    return made


def _of_state(ages: list[Record], state: str) -> list[Record]:
    return [record for record in ages if record["state"] == state]


def _ages(ages: list[Record]) -> dict[tuple[int, str], Record]:
    return {(record["band"], record["state"]): record for record in ages}


def _growth(growth: list[Record]) -> list[dict[str, Any]]:
    """New bytes by month with what they add up to, the newest month first: what can still be read as a table."""
    months: dict[date | None, Weight] = {}
    for record in growth:
        month = None if record["day"] is None else record["day"].replace(day=1)
        new = Weight(object_bytes=record["object_bytes"], row_bytes=record["row_bytes"])
        months[month] = months.get(month, Weight()) + new
    lines, total = [], 0
    for month, weight in months.items():
        total += weight.bytes
        lines.append({"month": month, "weight": weight, "total": total})
    return lines[::-1]


@dataclass(frozen=True, slots=True)
class State:
    """A state of rows or of objects."""

    name: str
    title: str
    meaning: str


OBJECTS = (
    State("live", "live", "a row references it"),
    State("expired", "expired", "the policy lets it go"),
    State("orphaned", "orphaned", "no row references it"),
    State("recent", "recent", "no row references it yet; too young to judge"),
    State("foreign", "foreign", "no known backend wrote it; never touched"),
    State("reserved", "trash and journal", "kept by xcomctl itself"),
)

ROWS = (
    State("live", "live", "its object is there"),
    State("inline", "in the row", "the value is in the database"),
    State("dangling", "dangling", "its object is gone"),
    State("unresolved", "unresolved", "its object is in none of the stores, or could not be asked for"),
    State("archived", "archived", "in a table that Airflow put aside"),
)

AGES = ("under a day", "1 to 7 days", "7 to 30 days", "30 to 90 days", "90 days to a year", "over a year")
"""The bands of `ages.sql`, in order."""


GENERATOR = "xcomctl report"
"""What a report says of itself, in a tag `meta` near its beginning."""

_SIGN = f'<meta name="generator" content="{GENERATOR}'.encode()

_NEAR = 1024
"""Bytes within which the sign is found."""


def require_replaceable(path: Path) -> None:
    """Raise UsageError where a report cannot be saved at `path`: what is there is none, or the folder is not."""
    require_folder(path, "report.html")
    if path.exists() and not _is_report(path):
        raise UsageError(
            f"{path} exists and is no report of xcomctl that could be replaced",
            hint="give --out another path, or remove it first",
        )


def save(page: str, path: Path) -> None:
    """Write the page to `path`. Raises UsageError where that cannot be."""
    with written_aside(path) as part:
        part.write_text(page, encoding="utf-8", newline="\n")


def _is_report(path: Path) -> bool:
    """Whether what is there says so. Devices and pipes are never opened."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return _SIGN in stream.read(_NEAR)
    except OSError:
        return False
