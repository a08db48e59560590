"""The page on metrics says of each what the program says."""

from __future__ import annotations

import re

from tests.docs.console import REPOSITORY
from xcomctl.cli.output.metrics import METRICS


def test_the_page_lists_every_metric_with_its_labels() -> None:
    """In the order of the program, and no other; what it alerts by is among them."""
    page = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(xcomctl_\w+)` \| ([^|]*)\|", page, re.MULTILINE)
    assert [(name, tuple(re.findall(r"`(\w+)`", labels))) for name, labels in table] == [
        (metric.name, metric.labels) for metric in METRICS.values()
    ]
    assert set(re.findall(r"\b(xcomctl_[a-z_]+)\b", page)) == set(METRICS)
