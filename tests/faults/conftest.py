"""Scenes for the fault suite."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.faults.scene import Scene
from tests.services.command import Command
from tests.services.database_proxy import database_proxy
from tests.services.deployment import Deploy, Deployment
from tests.services.fault_proxy import fault_proxy
from tests.services.store_faults import clock_shifted

SECONDS_AHEAD = 90
"""The store's clock is so far ahead that every object is old enough at once, and not so far that a guard refuses."""

MakeScene = Callable[..., Scene]


@pytest.fixture
def make_scene(deploy: Deploy, xcomctl: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeScene]:
    """Makes scenes on one bucket: `make_scene(engine, shape, prefix=...)`. On PostgreSQL its traffic can be cut, too."""
    # In this process, too, no setting of the person who runs the tests matters.
    clean = xcomctl.environment()
    for name in set(os.environ) - set(clean):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", clean["HOME"])
    monkeypatch.chdir(xcomctl.folder)
    with ExitStack() as opened:
        yield lambda engine="sqlite", *arguments, **more: opened_scene(
            opened, deploy(engine, *arguments, **more), xcomctl
        )


def opened_scene(opened: ExitStack, here: Deployment, command: Command) -> Scene:
    """A scene of a deployment; its proxies are closed with `opened`."""
    proxy = opened.enter_context(fault_proxy(here.server, clock_shifted(SECONDS_AHEAD)))
    database = None
    if here.database.engine == "postgresql":
        database = opened.enter_context(database_proxy(here.database.url))
    return Scene(here, proxy, command, database)


@pytest.fixture
def scene(make_scene: MakeScene) -> Scene:
    """A scene on SQLite."""
    return make_scene()


@pytest.fixture
def postgres_scene(make_scene: MakeScene) -> Scene:
    """A scene on PostgreSQL, behind a proxy."""
    return make_scene("postgres")
