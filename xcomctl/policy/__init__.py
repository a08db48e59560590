"""Retention policy: which rows may go, as SQL over the inventory's rows, with the reason for every verdict."""

from xcomctl.policy.globs import glob_pattern, is_glob
from xcomctl.policy.model import Pin, Policy, Rule

__all__ = ["Pin", "Policy", "Rule", "glob_pattern", "is_glob"]
