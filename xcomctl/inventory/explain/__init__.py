"""Explain one row or one object: what was found, what keeps it, what the next collection would do, and when."""

from xcomctl.inventory.explain.facts import Explanation
from xcomctl.inventory.explain.reasoning import explain

__all__ = ["Explanation", "explain"]
