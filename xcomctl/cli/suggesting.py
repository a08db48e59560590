"""What `doctor` prints or writes instead of checks: a configuration to begin with, and policies for AWS."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from xcomctl.errors import UsageError

if TYPE_CHECKING:
    from xcomctl.cli.stderr import StderrLog
    from xcomctl.config.session import Session
    from xcomctl.doctor.suggestion import Found


class IamPurpose(str, Enum):
    """What an IAM policy is for."""

    read_only = "read-only"
    gc = "gc"


def print_iam(session: Session, purpose: IamPurpose, log: StderrLog) -> None:
    """Print the policy of the given roots, or of those that the references show. Raises UsageError without any."""
    from xcomctl.doctor.iam import policy_document
    from xcomctl.doctor.sample import take_sample
    from xcomctl.errors import StoreError

    roots = tuple(session.roots) or take_sample(session.source, session.dialects, ()).shown_roots()
    if not roots:
        raise UsageError(
            "no store is given, and no reference shows one", hint="add --store s3://BUCKET/PREFIX"
        )
    versioned, keys = [], []
    for bucket in dict.fromkeys(root.bucket for root in roots):
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
