"""Guards: checks of a whole plan that refuse it when the two sides do not look like one deployment.

Each has a stable id, a number, a limit, and says what to type. A guard is overruled by its exact value alone, so
that a copied command line cannot carry a blanket yes.
"""

from xcomctl.gc.guards.acceptance import GUARD_IDS, acceptances, overruled
from xcomctl.gc.guards.judgement import DEFAULT_MAX_SHARE, Background, judge, judge_surroundings
from xcomctl.gc.guards.left_behind import find_broken_off, note_left_behind

__all__ = [
    "DEFAULT_MAX_SHARE",
    "GUARD_IDS",
    "Background",
    "acceptances",
    "find_broken_off",
    "judge",
    "judge_surroundings",
    "note_left_behind",
    "overruled",
]
