"""Fixtures for all tests: real servers, and worlds that real Airflow releases wrote."""

import os
import shutil
import signal
from pathlib import Path

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

# Servers and databases of tests write in memory where there is room: they wait for the disk to have written each time.
_MEMORY, _ROOM = Path("/dev/shm"), 4 << 30  # noqa: S108
if (
    "TMPDIR" not in os.environ
    and os.access(_MEMORY, os.W_OK)
    and shutil.disk_usage(_MEMORY).free > _ROOM
    # Containers do not run programs from there, and some tests write one.
    and not os.statvfs(_MEMORY).f_flag & getattr(os, "ST_NOEXEC", 0)
):
    os.environ["TMPDIR"] = str(_MEMORY)

# How long something takes says more about the machine than about us.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

read_once()
