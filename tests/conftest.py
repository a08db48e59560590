"""Fixtures for all tests: real servers, and worlds that real Airflow releases wrote."""

import signal

import hypothesis

from tests.services.aws_descriptions import read_once
from tests.services.command import fork_server, xcomctl
from tests.services.deployment import deploy
from tests.services.mariadb import mariadb, mariadb_database
from tests.services.object_stores import aws_environment, moto_server, seaweed, seaweed_bucket
from tests.services.postgres import postgres, postgres_database
from tests.services.worlds import _restored_dumps, _world_bucket, world

__all__ = [
    "_restored_dumps",
    "_world_bucket",
    "aws_environment",
    "deploy",
    "fork_server",
    "mariadb",
    "mariadb_database",
    "moto_server",
    "postgres",
    "postgres_database",
    "seaweed",
    "seaweed_bucket",
    "world",
    "xcomctl",
]

# A shell that starts us in the background lets us ignore Ctrl-C, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long something takes says more about the machine than about us.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

read_once()
