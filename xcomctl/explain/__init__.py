"""Explain one row or one object: what was found, what keeps it, what the next collection would do, and when."""

from xcomctl.explain.facts import Explanation
from xcomctl.explain.reasoning import explain

__all__ = ["Explanation", "explain"]
