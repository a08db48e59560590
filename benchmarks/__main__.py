# ruff: noqa: T201
"""`python -m benchmarks [PART ...]`: the tool against what people would use instead, in one run."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from benchmarks.comparison import DisagreementError, compare
from benchmarks.peers import install_peers
from benchmarks.report import Results, machine, tables_of
from benchmarks.setting import Setting

_PARTS = {
    "list": "listing",
    "scan": "scanning",
    "mark": "marking",
    "gc": "collecting",
    "delete": "deleting",
    "rows": "deleting_rows",
    "start": "starting",
    "show": "showing",
    "growth": "growing",
}
_LONG = {"mark100m": "marking_once", "seaweedfs": "real_server"}
_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def main(arguments: Sequence[str]) -> int:
    """Run the parts; 1 where results do not agree."""
    options = _parser().parse_args(arguments)
    with ExitStack() as folders:
        folder = options.folder or Path(folders.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        peers = None if options.no_peers else install_peers(folder.resolve())
        setting = Setting(folder.resolve(), options.size, peers)
        results = Results(folder / f"results-{options.size:g}.json")
        print(machine(), flush=True)
        for part in options.parts or _PARTS:
            cases = import_module(f"benchmarks.parts.{(_PARTS | _LONG)[part]}").cases(setting)
            for case in cases:
                try:
                    result = compare(case, setting.folder, 1 if options.check else options.rounds)
                except DisagreementError as error:
                    print(f"error: {error}", file=sys.stderr)
                    return 1
                if options.check:
                    print(f"agreed: {case.name}: {'; '.join(result.rounds)}", flush=True)
                    continue
                results.add(result)
                print(f"\n{tables_of([result])}", flush=True)
        if options.write:
            results.write_into(_PAGE)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    known = [*_PARTS, *_LONG]
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        type=_one_of(known),
        help=f"{', '.join(_PARTS)} (all of these), and on their own {' and '.join(_LONG)}, which take long",
    )
    parser.add_argument(
        "--folder", type=Path, help="keeps the data, the environment of the others, and results"
    )
    parser.add_argument("--size", type=float, default=1.0, help="share of the full size, such as 0.01")
    parser.add_argument("--rounds", type=int, help="at most so many rounds of each case")
    parser.add_argument("--check", action="store_true", help="one round, and only whether the results agree")
    parser.add_argument("--no-peers", action="store_true", help="only what needs no environment of its own")
    parser.add_argument(
        "--write", action="store_true", help="write the tables of all results into docs/performance.md"
    )
    return parser


def _one_of(known: Sequence[str]) -> Callable[[str], str]:
    def part(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"{text!r} is no part; there are {', '.join(known)}")
        return text

    return part


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
