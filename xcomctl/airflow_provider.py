"""What Airflow loads where it is installed beside xcomctl: since 3.2 `airflow xcom ...` is the same command.

Airflow imports this module and calls `commands` whenever `airflow` starts, whatever was asked of it: nothing of ours is
imported before `airflow xcom` itself is typed. It is the one module that may import Airflow, and only when Airflow calls.
"""

from __future__ import annotations

import argparse
import logging
from typing import Any

_NAME = "xcomctl"


def get_provider_info() -> dict[str, Any]:
    """What the entry point `apache_airflow_provider` tells; releases that do not know `cli` pass over it."""
    return {
        "package-name": _NAME,
        "name": _NAME,
        "description": "List, preview, check and collect XComs in the metadata database and in S3.",
        "cli": [f"{__name__}.commands"],
    }


def commands() -> list[Any]:
    """The command `xcom`, in the form that Airflow's command line is made of."""
    from airflow.cli.cli_config import ActionCommand, Arg

    words = Arg(
        flags=("words",),
        nargs=argparse.REMAINDER,
        metavar="COMMAND ...",
        help="a command of xcomctl with its options, as in: airflow xcom ls --limit 5",
    )
    return [
        ActionCommand(
            name="xcom",
            help="List, preview, check and collect XComs (xcomctl)",
            description="The commands of xcomctl, on the metadata database of this Airflow.",
            epilog="airflow xcom, with nothing behind it, lists the commands; airflow xcom ls --help explains one.",
            func=run,
            args=(words,),
        )
    ]


def run(arguments: argparse.Namespace) -> None:
    """Run what follows `airflow xcom`, and exit as `xcomctl` does."""
    from xcomctl.cli.app import main

    # Airflow prints what libraries log, botocore's remark where it found credentials for one, between our JSON on stdout.
    logging.disable()
    main(list(arguments.words), program="airflow xcom")
