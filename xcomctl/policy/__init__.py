"""Retention policy: which rows may go, as SQL over the inventory's rows, with the reason for every verdict."""

from xcomctl.policy.model import LEAST_MIN_AGE, Pin, Policy, Rule
from xcomctl.policy.verdicts import expiring_rows_sql, pinned_objects_sql, verdicts_sql

__all__ = [
    "LEAST_MIN_AGE",
    "Pin",
    "Policy",
    "Rule",
    "expiring_rows_sql",
    "pinned_objects_sql",
    "verdicts_sql",
]
