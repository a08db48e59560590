"""`xcomctl explain`: why a row or an object stays or goes."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import ConnectionOptions, DocumentFormat, LogOptions, RefArgument, with_options
from xcomctl.cli.output.text import json_safe
from xcomctl.cli.policy_options import PolicyOptions
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.scope_options import IgnoreArchives, both_sides


@with_options
def explain(
    connection: ConnectionOptions,
    log_options: LogOptions,
    resources: ResourceOptions,
    ref: RefArgument,
    rules: PolicyOptions,
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
    # Nothing is deleted here, so any grace period may be asked about.
    terms = rules.terms(unsafe_min_age=True)
    log = log_options.log()
    with Interruption(), connection.open(resources) as session:
        from xcomctl.cli.output.explanations import explanation_lines
        from xcomctl.inventory.explain import explain as explained
        from xcomctl.inventory.judging import Question
        from xcomctl.look.refs import row_or_address

        question = Question(
            terms.policy,
            min_age=terms.min_age,
            ignore_archives=ignore_archives,
            orphans=terms.orphans,
        )
        with both_sides(session, log) as sides:
            explanation = explained(row_or_address(ref, session), sides, question)
    if output is DocumentFormat.json:
        text = json.dumps(explanation.document(), ensure_ascii=False, indent=2)
        sys.stdout.write(json_safe(text) + "\n")
        return
    for line in explanation_lines(explanation):
        sys.stdout.write(line + "\n")
