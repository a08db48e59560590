"""`xcomctl explain`: why a row or an object stays or goes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from xcomctl.cli.interruption import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, RefArgument, with_options
from xcomctl.cli.output.text import json_safe
from xcomctl.cli.policy_options import DocumentFormat, read_policy
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.scope_options import IgnoreArchives, both_sides, parse_min_age

_POLICY = "What may go"


@with_options
def explain(
    connection: ConnectionOptions,
    log_options: LogOptions,
    resources: ResourceOptions,
    ref: RefArgument,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="D",
            help="Rows of runs that finished longer ago than this, such as 30d.",
            rich_help_panel=_POLICY,
        ),
    ] = None,
    keep_last: Annotated[
        int | None,
        typer.Option(
            "--keep-last",
            metavar="N",
            min=0,
            max=1_000_000_000,
            help="The newest N finished runs of each DAG stay.",
            rich_help_panel=_POLICY,
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="A policy file.", rich_help_panel=_POLICY),
    ] = None,
    min_age: Annotated[
        str | None,
        typer.Option(
            "--min-age",
            metavar="D",
            help="Grace period of unreferenced objects, as for gc.",
            show_default="24h",
            rich_help_panel=_POLICY,
        ),
    ] = None,
    ignore_archives: IgnoreArchives = False,
    output: Annotated[
        DocumentFormat, typer.Option("-o", "--output", help="Format of the data.", rich_help_panel="Output")
    ] = DocumentFormat.table,
) -> None:
    """Explain why a row or an object stays or goes.

    Tells what references what, the state of the run, the rule of the policy, what keeps it, what the next gc with these
    options would do, and when. Everything is listed and read as for gc; nothing is changed.

    Examples:

        xcomctl explain etl/latest/load --older-than 30d

        xcomctl explain s3://my-bucket/xcom/etl/r1/load/0b7f... --policy policy.toml
    """
    rules, file_age, orphans = read_policy(policy, older_than, keep_last)
    log = log_options.log()
    with Interruption(), connection.open(resources) as session:
        from xcomctl.cli.output.explanations import explanation_lines
        from xcomctl.inventory.explain import explain as explained
        from xcomctl.inventory.judging import Question
        from xcomctl.inventory.scan import DEFAULT_MIN_AGE

        # Nothing is deleted here, so any grace period may be asked about.
        given_age = None if min_age is None else parse_min_age(min_age, unsafe=True)
        question = Question(
            rules,
            min_age=given_age or file_age or DEFAULT_MIN_AGE,
            ignore_archives=ignore_archives,
            orphans=orphans,
        )
        with both_sides(session, log) as sides:
            explanation = explained(ref, sides, question)
    if output is DocumentFormat.json:
        text = json.dumps(explanation.document(), ensure_ascii=False, indent=2)
        sys.stdout.write(json_safe(text) + "\n")
        return
    for line in explanation_lines(explanation):
        sys.stdout.write(line + "\n")
