"""A case: what is done, by whom, and how much better ours has to be. Whoever disagrees about the result ends it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from benchmarks.measuring import run

OURS = "xcomctl"

Measure = Literal["wall", "cpu", "peak", "sent"]
Answer = dict[str, Any]


class DisagreementError(Exception):
    """Two programs came to different results."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A program that does what the case is about, and says what came of it."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    read: Callable[[bytes], Answer] = field(default=lambda output: dict(json.loads(output.splitlines()[-1])))
    """Its answer from its output: members that others have, too, must be the same.

    Apart from `wall` and `cpu`: these are seconds of the part that counts, in the place of those of the whole program.
    """
    sent: Callable[[], int] | None = None
    """How many bytes the server has sent so far, where the case counts them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`than` is to take at least `times` as much as ours; or ours at most `most`, if nobody is named."""

    measure: Measure
    than: str | None = None
    times: float = 0
    most: float = 0


@dataclass(frozen=True, slots=True)
class Case:
    """`contenders` do the same, ours among them."""

    name: str
    contenders: tuple[Contender, ...]
    wanted: tuple[Wanted, ...]
    rounds: int = 3


@dataclass(frozen=True, slots=True)
class Result:
    """What the rounds of a case gave: for each contender a list of measures, a round each."""

    name: str
    rounds: dict[str, list[dict[str, float]]]
    wanted: tuple[Wanted, ...]
    load: float
    """How many processes of the whole machine wanted to run, on average of the last five minutes."""

    def typical(self, contender: str, measure: Measure) -> float:
        """The median of the rounds."""
        return median(one[measure] for one in self.rounds[contender])

    def times(self, wanted: Wanted) -> float:
        """How many times as much as ours the other takes: the median of the rounds' ratios."""
        assert wanted.than is not None  # noqa: S101 - asked for comparisons only
        pairs = zip(self.rounds[wanted.than], self.rounds[OURS], strict=True)
        return median(theirs[wanted.measure] / ours[wanted.measure] for theirs, ours in pairs)


def compare(case: Case, folder: Path, rounds: int | None = None) -> Result:
    """Let all contenders take turns, so that a machine that gets busier does so for all. Raises DisagreementError."""
    measured: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in case.contenders}
    for _ in range(min(rounds or case.rounds, case.rounds)):
        answers: dict[str, Answer] = {}
        for contender in case.contenders:
            before = contender.sent() if contender.sent else 0
            done = run(contender.command, contender.environment, folder)
            answers[contender.name] = contender.read(done.output)
            sent = contender.sent() - before if contender.sent else 0
            times = {measure: answers[contender.name].pop(measure, None) for measure in ("wall", "cpu")}
            measured[contender.name].append(
                {
                    "wall": times["wall"] or done.wall,
                    "cpu": times["cpu"] or done.cpu,
                    "peak": done.peak,
                    "sent": sent,
                }
            )
        _require_agreement(case.name, answers)
    return Result(case.name, measured, case.wanted, os.getloadavg()[1])


def _require_agreement(name: str, answers: Mapping[str, Answer]) -> None:
    reference = answers[OURS] if OURS in answers else next(iter(answers.values()))
    for contender, answer in answers.items():
        for member in answer.keys() & reference.keys():
            if answer[member] != reference[member]:
                raise DisagreementError(
                    f"{name}: {contender} found {member} = {answer[member]}, not {reference[member]}"
                )
        if not answer.keys() & reference.keys():
            raise DisagreementError(f"{name}: {contender} says nothing that can be compared")
