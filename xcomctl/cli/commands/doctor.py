"""`xcomctl doctor`: is the set-up healthy, and what is to be done?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.interruption import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, OutputOptions, with_options
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.stages import stages
from xcomctl.cli.suggesting import IamPurpose, print_iam, suggest
from xcomctl.errors import UsageError

if TYPE_CHECKING:
    from xcomctl.cli.output.columns import OutputStyle
    from xcomctl.cli.stderr import StderrLog
    from xcomctl.config.session import Session
    from xcomctl.doctor import CheckContext, CheckResult
    from xcomctl.progress import Progress

_PRINT = "Print instead"


@with_options
def doctor(
    connection: ConnectionOptions,
    output: OutputOptions,
    log_options: LogOptions,
    resources: ResourceOptions,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Leave out what takes longer the more there is: lifecycle rules, trash, policy."
        ),
    ] = False,
    policy: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="Check this policy file, too.")
    ] = None,
    suggest_config: Annotated[
        str | None,
        typer.Option(
            "--suggest-config",
            metavar="FILE",
            help="Write a configuration to begin with, and a policy.toml beside it; - prints both.",
            rich_help_panel=_PRINT,
        ),
    ] = None,
    iam: Annotated[
        IamPurpose | None,
        typer.Option(
            "--iam",
            help="Print the AWS policy that is enough for looking, or for collecting.",
            rich_help_panel=_PRINT,
        ),
    ] = None,
) -> None:
    """Check the set-up, the first command to run: what is there, what is wrong, and what to do about it.

    Settings, database, object store, backend in use, lifecycle rules, trash, schedule. What cannot be reached is a
    failed check, and the others are made all the same. Nothing is changed, and no right is tried out by writing.
    Exit 4 if a check fails; a warning is no failure.

    Examples:

        xcomctl doctor

        xcomctl doctor -o json | jq '.checks[] | select(.status == "fail")'

        xcomctl doctor --suggest-config xcomctl.toml

        xcomctl doctor --iam gc > policy.json
    """
    style = output.style()
    log = log_options.log()
    if suggest_config is not None and iam is not None:
        raise UsageError("--suggest-config and --iam print one thing each", hint="give one of them")
    with Interruption(), connection.open(resources) as session:
        if iam is not None:
            print_iam(session, iam, log)
            return
        if suggest_config is not None:
            suggest(session, suggest_config, log)
            return
        failed = _examine(session, style, log, quick=quick, policy=policy)
    raise typer.Exit(4 if failed else 0)


def _examine(
    session: Session, style: OutputStyle, log: StderrLog, *, quick: bool, policy: Path | None
) -> bool:
    """Make every check and write what comes of it; whether one failed."""
    from xcomctl.cli.output.checks import CHECK_COLUMNS, STATUSES, print_checks
    from xcomctl.cli.output.output import write
    from xcomctl.doctor import examine
    from xcomctl.units import format_time

    statuses: list[str] = []

    def all_of_them() -> Iterator[CheckResult]:
        with ExitStack() as shown:
            reports: list[Progress] = []

            def report(stage: str, count: int) -> None:
                if not reports:
                    reports.append(shown.enter_context(stages(log)))
                reports[0](stage, count)

            settings, context = _patient(session, policy=policy, report=report)
            for one in chain(settings, examine(context, quick=quick)):
                # Progress of a check ends before what comes of it is written.
                shown.close()
                reports.clear()
                statuses.append(one.status)
                yield one

    diagnoses = all_of_them()
    if style.format == "table" and style.columns is None and style.template is None:
        from rich.console import Console

        print_checks(Console(file=sys.stdout, highlight=False, markup=False, emoji=False), diagnoses)
    elif style.format == "json" and style.columns is None:
        from xcomctl.cli.output.documents import document_chunks

        checks = [one.document() for one in diagnoses]
        head = {
            "schema": "xcomctl.doctor/1",
            "examined_at": format_time(datetime.now(timezone.utc)),
            "counts": {status: statuses.count(status) for status in STATUSES},
        }
        for chunk in document_chunks(head, "checks", checks):
            sys.stdout.write(chunk)
    else:
        write(diagnoses, CHECK_COLUMNS, style, sys.stdout)
    return "fail" in statuses


def _patient(
    session: Session, *, policy: Path | None = None, report: Progress
) -> tuple[list[CheckResult], CheckContext]:
    """What is to be examined, as far as it is configured, and what is wrong with the configuration."""
    from xcomctl.dialects.registry import DialectRegistry
    from xcomctl.doctor import CheckContext, CheckResult
    from xcomctl.inventory.resources import Resources
    from xcomctl.policy.file import load_policy

    wrong: dict[str, CheckResult] = {}

    def tried(name: str, look_up: Callable[[], object]) -> bool:
        try:
            look_up()
        except UsageError as error:
            # A file that cannot be read spoils every setting: that is one fault.
            wrong.setdefault(str(error), CheckResult(f"configuration.{name}", "fail", str(error), error.hint))
            return False
        return True

    configuration = session.configuration
    tried("file", lambda: configuration.file)
    tried("profile", configuration.profile)
    has_database = tried("db", lambda: session.source)
    has_stores = tried("stores", configuration.stores)
    for name in ("endpoint_url", "region", "aws_profile"):
        tried(name, getattr(configuration, name))
    has_limits = tried("limits", lambda: session.resources)
    has_dialects = tried("dialects", lambda: session.dialects)
    seen = tried("airflow", configuration.airflow_backend)
    found = list(wrong.values())
    if not found:
        database, stores = configuration.database(), configuration.stores()
        told = (
            f"db from {database.origin}; stores from {stores.origin}"
            if stores.value
            else f"db from {database.origin}"
        )
        file = configuration.file
        facts = {
            "config": None if file is None else str(file.path),
            "db": database.origin,
            "stores": stores.origin,
        }
        found.append(CheckResult("configuration", "ok", told, facts=facts))
    return found, CheckContext(
        session.source if has_database else None,
        lambda: session.store,
        session.dialects if has_dialects else DialectRegistry(),
        tuple(session.roots) if has_stores else (),
        clock=lambda: datetime.now(timezone.utc),
        airflow_backend=configuration.airflow_backend().value if seen else None,
        policy=None if policy is None else lambda: load_policy(policy),
        resources=session.resources if has_limits else Resources(),
        report=report,
    )
