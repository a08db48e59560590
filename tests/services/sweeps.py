"""Parameters of tests of which the default run takes some, and the slow one the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

_Case = type(pytest.param())

PAIRS = (
    ("sqlite", "airflow-2"),
    ("postgresql", "airflow-3.4"),
    ("postgres", "airflow-3.4"),
    ("mysql", "airflow-3"),
    ("mariadb", "airflow-3"),
)
"""Engines and generations of Airflow: each of them once. Most other tests are on SQLite and Airflow 3."""


def sweep(cases: Iterable[Any], default: Callable[..., bool]) -> list[Any]:
    """The cases; those that are not for the default run are slow. `default` is asked with the values of a case.

    A case is a value, a tuple of several, or a `pytest.param`.
    """
    found = []
    for case in cases:
        if isinstance(case, _Case):
            values, marks, name = case.values, case.marks, case.id
        else:
            values, marks, name = (case if isinstance(case, tuple) else (case,)), (), None
        slow = () if default(*values) else (pytest.mark.slow,)
        found.append(pytest.param(*values, marks=(*marks, *slow), id=name))
    return found


def of_each(*values: object) -> bool:
    """Whether an engine and a generation of Airflow are a pair of the default run."""
    return values in PAIRS
