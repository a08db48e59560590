"""`xcomctl fsck`: do rows and objects fit together?"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime, timezone
from typing import Annotated

import typer

from xcomctl.cli.metrics_recorder import MetricsOption, record_metrics
from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, OutputOptions, with_options
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.results import FINDING_COLUMNS, emit_fsck, require_columns
from xcomctl.cli.scope_options import (
    IgnoreArchives,
    MinAge,
    S3Inventory,
    ShardOption,
    UnsafeMinAge,
    both_sides,
    parse_min_age,
)
from xcomctl.inventory.shards import Shard


@with_options
def fsck(
    connection: ConnectionOptions,
    output: OutputOptions,
    log_options: LogOptions,
    resources: ResourceOptions,
    min_age: MinAge = None,
    unsafe_min_age: UnsafeMinAge = False,
    ignore_archives: IgnoreArchives = False,
    inventory: S3Inventory = None,
    shard: ShardOption = None,
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", min=0, help="Findings of each kind in the table.")
    ] = 5,
    metrics_file: MetricsOption = None,
) -> None:
    """Check that rows and objects fit: orphaned, dangling, unresolved and foreign.

    An orphaned object is one that no row references, a dangling row one whose object is gone (git uses the word
    for the opposite), an unresolved row one whose object lies outside the given stores. Nothing is changed.
    Exit 4 if any of these is found; foreign objects (of no known backend) and unfinished multipart uploads,
    whose parts are paid for and shown by no listing, are counted, and are no fault.

    Examples:

        xcomctl fsck --store s3://my-bucket/xcom

        xcomctl fsck -o ndjson | jq -r 'select(.finding == "orphaned") | .uri'
    """
    log = log_options.log()
    with record_metrics(metrics_file, "fsck", log) as record:
        style = output.style()
        require_columns(FINDING_COLUMNS, style)
        grace = parse_min_age(min_age, unsafe_min_age)
        part = None if shard is None else Shard.parse(shard)
        with Interruption(), connection.open(resources) as session:
            record.about(session.roots, shard)

            from xcomctl.inventory.fsck import ALARMS, check
            from xcomctl.inventory.judging import Question

            question = Question(min_age=grace, ignore_archives=ignore_archives, shard=part, uploads=True)
            with ExitStack() as opened:
                # Progress ends before the result is written.
                with both_sides(session, log, inventory) as sides:
                    result = opened.enter_context(check(sides, question, now=datetime.now(timezone.utc)))
                for note in result.notes:
                    log.note(note.cause, hint=note.hint)
                record.check(result)
                emit_fsck(result, style, samples=samples)
                found = any(kind.count for kind in result.summary() if kind.kind in ALARMS)
        raise typer.Exit(4 if found else 0)
