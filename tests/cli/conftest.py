"""Fixtures of the tests of the command line."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.services.deployment import DAY, Deploy, Deployment


@pytest.fixture
def here(deploy: Deploy) -> Deployment:
    """An expired row with its object, a live one, an orphan, a foreign object and a dangling row."""
    made = deploy()
    made.push(run="old", age=40 * DAY)
    made.push(run="new")
    made.push("lost", key=f"{made.prefix}/lost/r1/load/{uuid4()}")
    made.upload(run="gone")
    made.upload(key=f"{made.prefix}/README.txt")
    return made
