"""What a policy matches in a database, without listing any object: a look before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xcomctl.airflow.interface import Source
from xcomctl.dialects.interface import Dialects
from xcomctl.inventory import Inventory
from xcomctl.inventory.matches import require_matches
from xcomctl.inventory.workspace import Resources
from xcomctl.models import Root
from xcomctl.policy import Policy, Rule, verdicts_sql
from xcomctl.progress import Progress, no_progress


@dataclass(frozen=True, slots=True)
class RuleMatches:
    """How many rows a rule is for, and how many of them would go now."""

    rule: Rule
    rows: int
    expiring: int


@dataclass(frozen=True, slots=True)
class PolicyMatches:
    """What each rule matches, the most specific first, and how many rows a pin keeps."""

    rules: tuple[RuleMatches, ...]
    pinned: int


def match_policy(
    source: Source,
    dialects: Dialects,
    roots: Sequence[Root],
    policy: Policy,
    *,
    resources: Resources | None = None,
    report: Progress = no_progress,
) -> PolicyMatches:
    """Judge all rows by a policy. `roots` say which references can be followed; their objects are not looked at.

    Raises UsageError for a glob that matches nothing, SourceError.
    """
    with Inventory(dialects, roots, resources=resources, report=report) as inventory:
        with source.snapshot() as snapshot:
            now = snapshot.taken_at
            inventory.add_rows(snapshot.batches())
            known_dags = snapshot.dag_ids()
        require_matches(inventory, policy, known_dags, now=now)
        query, parameters = verdicts_sql(policy, now)
        found = inventory.run(
            f"""
            SELECT rule_no, count(*), count(*) FILTER (WHERE expires),
                   count(*) FILTER (WHERE len(list_filter(kept_by, lambda keep: keep.kind = 'pinned')) > 0)
            FROM ({query}) JOIN rows USING (row_id) WHERE NOT archived GROUP BY rule_no
            """,  # noqa: S608 - the policy's own query
            parameters,
        )
    counts = {rule_no: (rows, expiring) for rule_no, rows, expiring, _ in found}
    return PolicyMatches(
        rules=tuple(
            RuleMatches(rule, *counts.get(number, (0, 0))) for number, rule in enumerate(policy.ordered_rules)
        ),
        pinned=sum(pinned for _, _, _, pinned in found),
    )
