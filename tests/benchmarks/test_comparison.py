"""Programs are compared only where they agree."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.comparison import OURS, Case, Contender, DisagreementError, Result, Wanted, compare
from benchmarks.report import Results, tables_of


def _says(name: str, answer: str, program: str = "") -> Contender:
    return Contender(name, (sys.executable, "-c", f"{program}\nprint('{answer}')"), dict(os.environ))


def test_whoever_finds_something_else_ends_the_run(tmp_path: Path) -> None:
    """A faster program that finds less is not faster."""
    contenders = (_says(OURS, '{"objects": 3}'), _says("theirs", '{"objects": 2}'))
    with pytest.raises(DisagreementError, match="theirs found objects = 2, not 3"):
        compare(Case("a case", contenders, ()), tmp_path)


def test_answers_have_to_be_comparable(tmp_path: Path) -> None:
    """An answer that has nothing in common with ours is no agreement."""
    contenders = (_says(OURS, '{"objects": 3}'), _says("theirs", '{"rows": 3}'))
    with pytest.raises(DisagreementError, match="theirs says nothing that can be compared"):
        compare(Case("a case", contenders, ()), tmp_path)


def test_a_program_that_fails_is_no_result(tmp_path: Path) -> None:
    """What it said is told."""
    with pytest.raises(RuntimeError, match="no such thing"):
        compare(Case("a case", (_says(OURS, "{}", "raise SystemExit('no such thing')"),), ()), tmp_path)


def test_rounds_are_measured_one_by_one(tmp_path: Path) -> None:
    """Memory is that of the program, and seconds that an answer has are taken in the place of the program's."""
    contenders = (
        _says(OURS, '{"objects": 3, "wall": 2.0, "cpu": 1.5}'),
        _says("theirs", '{"objects": 3, "note": 1}', 'x = bytearray(b"x") * 100_000_000'),
    )
    result = compare(Case("a case", contenders, (), rounds=2), tmp_path)
    assert (result.typical(OURS, "wall"), result.typical(OURS, "cpu")) == (2.0, 1.5)
    assert result.typical("theirs", "peak") > 100e6 > result.typical(OURS, "peak")
    assert [len(rounds) for rounds in result.rounds.values()] == [2, 2]


def test_figures_are_kept_and_written_between_the_marks(tmp_path: Path) -> None:
    """Results of several runs come together on the page; what stands around them stays."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures of python -m benchmarks -->\nold\n<!-- end of figures -->\nafter\n")
    measures = {"wall": 1.0, "cpu": 2.0, "peak": 3e6, "sent": 0.0}
    theirs = {name: 12 * number for name, number in measures.items()}
    wanted = (Wanted("cpu", "theirs", 11), Wanted("wall", "theirs", 13), Wanted("peak", most=2e6))
    for name in ("first", "second"):
        Results(tmp_path / "results.json").add(
            Result(name, {OURS: [measures], "theirs": [theirs]}, wanted, 1.0)
        )
    Results(tmp_path / "results.json").write_into(page)
    assert page.read_text().startswith("before\n<!--")
    assert page.read_text().endswith("-->\nafter\n")
    assert "old" not in page.read_text()
    assert "| first | CPU | theirs | 11.0x | 12.0x |" in page.read_text()
    assert "| second | time | theirs | 13.0x | 12.0x, **not reached** |" in page.read_text()
    assert "| second | memory, MB | | at most 2 | 3, **not reached** |" in page.read_text()
    assert "| second | theirs | 12.00 | 24.00 | 36 | 1 |" in tables_of(
        [Result("second", {"theirs": [theirs]}, (), 1.0)]
    )
