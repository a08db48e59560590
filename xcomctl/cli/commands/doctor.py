"""`xcomctl doctor`: is the set-up healthy, and what is to be done?"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timezone
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, OutputOptions, with_options
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.stages import stages
from xcomctl.errors import UsageError

if TYPE_CHECKING:
    from xcomctl.cli.output.columns import OutputStyle
    from xcomctl.cli.stderr import StderrLog
    from xcomctl.config.session import Session
    from xcomctl.doctor import CheckContext, CheckResult
    from xcomctl.doctor.suggestion import Found
    from xcomctl.progress import Progress

_PRINT = "Print instead"


class IamPurpose(str, Enum):
    """What an IAM policy is for."""

    read_only = "read-only"
    gc = "gc"
    bucket = "bucket"


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
            help="Print the AWS policy that is enough for looking, or for collecting; or that of the bucket, by which"
            " nobody but --collector writes xcomctl's records.",
            rich_help_panel=_PRINT,
        ),
    ] = None,
    collector: Annotated[
        list[str] | None,
        typer.Option(
            "--collector",
            metavar="ARN",
            help="With --iam bucket: role or user that runs gc, undo and restore. May be repeated.",
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

        xcomctl doctor --iam bucket --collector arn:aws:iam::111122223333:role/xcomctl
    """
    style = output.style()
    log = log_options.log()
    if suggest_config is not None and iam is not None:
        raise UsageError("--suggest-config and --iam print one thing each", hint="give one of them")
    if (iam is IamPurpose.bucket) != bool(collector):
        raise UsageError(
            "--iam bucket and --collector go together: who is not named can collect no more",
            hint="xcomctl doctor --iam bucket --collector arn:aws:iam::111122223333:role/xcomctl",
        )
    with Interruption(), connection.open(resources) as session:
        if iam is not None:
            print_iam(session, iam, log, collectors=collector or ())
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
    from xcomctl.cli.output.formats import write
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

            settings, context = _context(session, policy=policy, report=report)
            for one in chain(settings, examine(context, quick=quick)):
                # Progress of a check ends before what comes of it is written.
                shown.close()
                reports.clear()
                statuses.append(one.status)
                yield one

    results = all_of_them()
    if style.format == "table" and style.columns is None and style.template is None:
        from rich.console import Console

        print_checks(Console(file=sys.stdout, highlight=False, markup=False, emoji=False), results)
    elif style.format == "json" and style.columns is None:
        from xcomctl.cli.output.formats import document_chunks

        checks = [one.document() for one in results]
        head = {
            "schema": "xcomctl.doctor/1",
            "examined_at": format_time(datetime.now(timezone.utc)),
            "counts": {status: statuses.count(status) for status in STATUSES},
        }
        for chunk in document_chunks(head, "checks", checks):
            sys.stdout.write(chunk)
    else:
        write(results, CHECK_COLUMNS, style, sys.stdout)
    return "fail" in statuses


def _context(
    session: Session, *, policy: Path | None = None, report: Progress
) -> tuple[list[CheckResult], CheckContext]:
    """What is to be examined, as far as it is configured, and what is wrong with the configuration."""
    from xcomctl.dialects.registry import DialectRegistry
    from xcomctl.doctor import CheckContext, CheckResult, Setup
    from xcomctl.inventory.workspace import Resources
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
    setup = Setup(
        session.source if has_database else None,
        lambda: session.store,
        session.dialects if has_dialects else DialectRegistry(),
        tuple(session.roots) if has_stores else (),
        session.resources if has_limits else Resources(),
        airflow_backend=configuration.airflow_backend().value if seen else None,
        policy=None if policy is None else lambda: load_policy(policy),
    )
    return found, CheckContext(setup, clock=lambda: datetime.now(timezone.utc), report=report)


def print_iam(
    session: Session, purpose: IamPurpose, log: StderrLog, *, collectors: Sequence[str] = ()
) -> None:
    """Print the policy of the given roots, or of those that the references show. Raises UsageError without any."""
    from xcomctl.doctor.iam import policy_document, records_policy
    from xcomctl.doctor.sample import take_sample
    from xcomctl.errors import StoreError

    roots = tuple(session.roots) or take_sample(session.source, session.dialects, ()).shown_roots()
    if not roots:
        raise UsageError(
            "no store is given, and no reference shows one", hint="add --store s3://BUCKET/PREFIX"
        )
    buckets = list(dict.fromkeys(root.bucket for root in roots))
    if purpose is IamPurpose.bucket:
        if len(buckets) > 1:
            raise UsageError(
                f"a bucket has a policy of its own, and the stores are in {len(buckets)}",
                hint=f"--store s3://{buckets[0]}/PREFIX, and so for each",
            )
        sys.stdout.write(json.dumps(records_policy(roots, collectors), indent=2) + "\n")
        log.note("add the statement to the policy that the bucket has", hint="aws s3api get-bucket-policy")
        return
    versioned, keys = [], []
    for bucket in buckets:
        try:
            settings = session.store.settings(bucket)
        except (StoreError, UsageError) as error:
            log.note(f"the bucket was not asked, so that it is taken for one that keeps versions: {error}")
            versioned.append(bucket)
            continue
        if settings.versioning != "off":
            versioned.append(bucket)
        key = settings.encryption_key
        if key is not None and key.startswith("arn:"):
            keys.append(key)
        elif key is not None:
            log.note(f"{bucket} is encrypted by the key {key}: grant its use, too, by its ARN")
    document = policy_document(roots, purpose.value, versioned=versioned, keys=keys)
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def suggest(session: Session, place: str, log: StderrLog) -> None:
    """Print a configuration and a policy, or write them beside each other. Raises UsageError where something is there."""
    from xcomctl.doctor.suggestion import suggested_config, suggested_policy

    files: list[Path] = []
    if place != "-":
        files = [Path(place), Path(place).with_name("policy.toml")]
        for file in files:
            if file.exists():
                raise UsageError(
                    f"{file} exists, and is not written over",
                    hint="--suggest-config - prints what would be written",
                )
    found = _found(session, log)
    config, policy = suggested_config(found), suggested_policy(found)
    if not files:
        commented = "".join(f"# {line}".rstrip() + "\n" for line in policy.splitlines())
        sys.stdout.write(f"{config}\n# --- policy.toml, a file of its own:\n{commented}")
        return
    for file, text in zip(files, (config, policy), strict=True):
        try:
            with file.open("x", encoding="utf-8") as written:
                written.write(text)
        except OSError as error:
            raise UsageError(
                f"{file} cannot be written: {error.strerror}", hint="name a file in another folder"
            ) from error
    log.note(
        f"wrote {files[0]} and {files[1]}",
        hint=f"xcomctl config show --config {files[0]}; xcomctl policy check {files[1]} --config {files[0]}",
    )


def _found(session: Session, log: StderrLog) -> Found:
    """What is known of the set-up. What cannot be found out is left out, with a word on why."""
    from xcomctl.config.masking import mask_url
    from xcomctl.doctor.sample import take_sample
    from xcomctl.doctor.suggestion import Found
    from xcomctl.errors import SourceError

    configuration = session.configuration
    found = Found(
        db_schema=configuration.db_schema().value,
        stores=tuple(root.uri for root in configuration.stores().value),
        endpoint_url=configuration.endpoint_url().value,
        region=configuration.region().value,
        aws_profile=configuration.aws_profile().value,
    )
    try:
        database = configuration.database()
        masked = mask_url(database.value)
        found = replace(
            found,
            database=masked,
            database_origin=database.origin,
            has_secret=masked != database.value,
            is_airflows=database.origin.startswith(("AIRFLOW", "Airflow")) or " [" in database.origin,
        )
        sample = take_sample(session.source, session.dialects, session.roots)
        oldest = session.source.upkeep().oldest_run_at
    except (SourceError, UsageError) as error:
        log.note(f"the database tells nothing: {error}", hint=error.hint)
        return found
    return replace(
        found,
        stores=found.stores or tuple(root.uri for root in sample.shown_roots()),
        unknown=len(sample.unknown),
        oldest_run=None if oldest is None else f"{oldest:%Y-%m-%d}",
    )
