"""Explanations as people read them: what it is, what it hangs together with, the verdict, and what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from xcomctl.cli.output.text import visible
from xcomctl.inventory.explain import Explanation
from xcomctl.inventory.explain.facts import ObjectFacts, ReferenceFacts, RowFacts
from xcomctl.units import exact_duration, format_duration, format_size, format_time

_INDENT = " " * 11

_DOES = {
    "delete_row": "deletes this row",
    "delete_object": "takes this object away",
    "restore_object": "brings this object back, because a row references it",
}


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """The explanation line by line; nothing in it steers a terminal."""
    yield visible(explanation.ref)
    for line in _body(explanation):
        yield "  " + visible(line)


def _body(explanation: Explanation) -> Iterator[str]:
    now = explanation.explained_at
    if explanation.row is not None:
        yield from _row(explanation.row, now)
        for reference in explanation.references:
            yield from _reference(reference, now)
        yield from _more(explanation.references_total - len(explanation.references), "references")
        yield from _verdict(explanation.row)
    if explanation.object is not None:
        yield from _object(explanation.object, now)
        for row in explanation.rows:
            yield from _keeper(row)
        yield from _more(explanation.rows_total - len(explanation.rows), "rows")
        for place in explanation.places:
            yield f"mentioned  {place.table}.{place.column} of {place.row}"
        yield from _more(explanation.places_total - len(explanation.places), "places")
        yield f"grace      {exact_duration(explanation.min_age)}"
    yield from _next(explanation, now)


def _row(facts: RowFacts, now: datetime) -> Iterator[str]:
    row = facts.row
    yield f"row        {row.short_id} in table {row.table}, {format_size(facts.size)}"
    yield f"written    {_when(row.written_at, now)}"
    ended = "" if row.run_ended_at is None else f", ended {_when(row.run_ended_at, now)}"
    yield f"run        {row.run_state or 'not known'}{ended}"


def _reference(reference: ReferenceFacts, now: datetime) -> Iterator[str]:
    certainty = "" if reference.confidence == "exact" else f", {reference.confidence}"
    for one in reference.objects:
        yield f"refers to  {one.address.uri} ({reference.dialect}{certainty})"
        yield f"{_INDENT}{_told(one, now)}"
    if not reference.objects:
        yield f"refers to  {reference.text} ({reference.dialect}{certainty})"
        yield f"{_INDENT}unresolved: no given store says in which bucket"


def _object(facts: ObjectFacts, now: datetime) -> Iterator[str]:
    if facts.size is not None:
        yield f"object     {format_size(facts.size)}, written {_when(facts.last_modified, now)}"
    if facts.dialect is not None:
        yield f"dialect    {facts.dialect}"
    yield f"state      {_state(facts)}"


def _told(facts: ObjectFacts, now: datetime) -> str:
    size = (
        ""
        if facts.size is None
        else f"; {format_size(facts.size)}, written {_when(facts.last_modified, now)}"
    )
    return _state(facts) + size


def _state(facts: ObjectFacts) -> str:
    state = facts.state.replace("_", " ")
    # The reason of what is expired begins with the word.
    return facts.reason if facts.reason.startswith(f"{state}: ") else f"{state}: {facts.reason}"


def _keeper(facts: RowFacts) -> Iterator[str]:
    yield f"{'named by' if facts.names_it else 'in value':<11}{facts.row.ref}"
    yield f"{_INDENT}{facts.verdict.reason or 'stays: ' + '; '.join(keep.reason for keep in facts.verdict.kept_by)}"


def _verdict(facts: RowFacts) -> Iterator[str]:
    verdict = facts.verdict
    if verdict.expires:
        yield f"verdict    {verdict.reason}"
        return
    for number, keep in enumerate(verdict.kept_by):
        yield f"{'' if number else 'verdict':<11}stays: {keep.reason}"


def _next(explanation: Explanation, now: datetime) -> Iterator[str]:
    action = explanation.next_action
    if action is not None:
        yield f"next gc    {_DOES[action]}"
        return
    at = explanation.not_before
    if at is not None and at > now:
        yield f"next gc    leaves it; not before {format_time(at)} (in {format_duration(at - now)})"
    else:
        yield "next gc    leaves it"


def _more(number: int, what: str) -> Iterator[str]:
    if number > 0:
        yield f"{_INDENT}and {number:,} more {what}"


def _when(at: datetime | None, now: datetime) -> str:
    return "at an unknown time" if at is None else f"{format_time(at)} ({format_duration(now - at)} ago)"
