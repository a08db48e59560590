"""The alert rules and the dashboard ask for metrics that there are, in the language of Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from xcomctl.cli.output.metrics import METRICS

EXAMPLES = Path(__file__).parents[2] / "examples"
ALERTS = EXAMPLES / "prometheus" / "xcomctl-alerts.yaml"
DASHBOARD = EXAMPLES / "grafana" / "xcomctl-dashboard.json"
OPERATIONS = EXAMPLES.parent / "docs" / "operations.md"
EVERYWHERE = {"command", "root", "shard"}


def test_the_alert_rules() -> None:
    """Have what Prometheus wants of a rule, and the page on operations tells of each."""
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    assert set(group) == {"name", "rules"}
    for rule in group["rules"]:
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert set(rule["annotations"]) == {"summary", "description"}
        _require_known(rule["expr"])
        for label in re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())):
            assert label in EVERYWHERE
    told = re.findall(r"^\| `(Xcomctl\w+)` \|", OPERATIONS.read_text(), re.MULTILINE)
    assert told == [rule["alert"] for rule in group["rules"]]


def test_the_dashboard() -> None:
    """Has panels that do not lie on each other, and asks for what there is."""
    dashboard = json.loads(DASHBOARD.read_text())
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells
        assert at["x"] + at["w"] <= 24
        cells |= own
        for target in panel["targets"]:
            _require_known(target["expr"].replace("$root", ".*"))
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert label in EVERYWHERE | _labels_of(target["expr"])


def _require_known(expression: str) -> None:
    selectors = list(_selectors(promql_parser.parse(expression)))
    assert selectors
    for selector in selectors:
        asked = {matcher.name for matcher in selector.matchers.matchers}
        assert asked <= EVERYWHERE | set(METRICS[selector.name].labels), expression


def _labels_of(expression: str) -> set[str]:
    parsed = promql_parser.parse(expression.replace("$root", ".*"))
    return {label for selector in _selectors(parsed) for label in METRICS[selector.name].labels}


def _selectors(node: Any) -> Iterator[Any]:
    """Every place in an expression where a metric is asked for."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        if (below := getattr(node, name, None)) is not None:
            yield from _selectors(below)
    for below in getattr(node, "args", None) or ():
        yield from _selectors(below)
