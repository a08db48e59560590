"""`xcomctl policy check`: check a policy file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xcomctl.cli.options import ConnectionOptions, DocumentFormat, LogOptions, with_options
from xcomctl.cli.output.text import json_safe
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.stages import stages
from xcomctl.cli.verbs import help_if_no_verb
from xcomctl.errors import UsageError

if TYPE_CHECKING:
    from xcomctl.inventory.policy_check import PolicyMatches
    from xcomctl.policy.file import PolicyFile


app = typer.Typer(
    help="What may go, as a team writes it down.", callback=help_if_no_verb, invoke_without_command=True
)


@app.command("check")
@with_options
def policy_check(
    connection: ConnectionOptions,
    log_options: LogOptions,
    resources: ResourceOptions,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy file.", show_default=False)],
    output: Annotated[
        DocumentFormat, typer.Option("-o", "--output", help="Format of the data.", rich_help_panel="Output")
    ] = DocumentFormat.table,
) -> None:
    """Check a policy file, and show what it matches where a database is configured.

    A fault is told with its line (exit 2). Rows are read; objects are not listed, and nothing is changed.

    Examples:

        xcomctl policy check policy.toml

        xcomctl policy check policy.toml --db postgresql://airflow@db/airflow
    """
    from xcomctl.policy.file import load_policy

    loaded = load_policy(file)
    log = log_options.log()
    matches = None
    with connection.open(resources) as session:
        # A fault of the configuration is one here, too.
        session.configuration.profile()
        try:
            session.configuration.database()
        except UsageError as error:
            log.note(f"only the file was checked: {error}", hint=error.hint)
        else:
            from xcomctl.inventory.policy_check import match_policy

            with stages(log) as report:
                matches = match_policy(
                    session.source,
                    session.dialects,
                    session.roots,
                    loaded.policy,
                    resources=session.resources,
                    report=report,
                )
            if not session.roots:
                log.note(
                    "no store is configured: rows that reference objects count as staying", hint="add --store"
                )
            if any(rule.min_size for rule in loaded.policy.rules):
                log.note("objects are not listed, so min_size was judged by what is in the rows alone")
    if output is DocumentFormat.json:
        document = _document(loaded, matches)
        sys.stdout.write(json_safe(json.dumps(document, ensure_ascii=False, indent=2)) + "\n")
        return
    from xcomctl.cli.output.policies import policy_lines

    for line in policy_lines(loaded, matches):
        sys.stdout.write(line + "\n")


def _document(loaded: PolicyFile, matches: PolicyMatches | None) -> dict[str, Any]:
    rules: list[dict[str, Any]] = [
        {
            "place": rule.place,
            "dag": rule.dag,
            "task": rule.task,
            "key": rule.key,
            "rows": None,
            "expiring": None,
        }
        for rule in loaded.policy.ordered_rules
    ]
    for record, match in zip(rules, matches.rules if matches else (), strict=False):
        record |= {"rows": match.rows, "expiring": match.expiring}
    return {
        "schema": "xcomctl.policy-check/1",
        "path": str(loaded.path),
        "digest": loaded.digest,
        "pins": len(loaded.policy.pins),
        "rows_pinned": None if matches is None else matches.pinned,
        "rules": rules,
    }
