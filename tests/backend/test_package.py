from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "backend" / "src" / "xcomctl_backend"


def test_importing_loads_nothing_heavy() -> None:
    """Importing the package and its parts that do without Airflow loads neither boto3 nor pandas, nor the tool."""
    program = (
        "import sys, xcomctl_backend\n"
        "from xcomctl_backend import _codecs, _exchange, _reference, _s3, _settings, errors\n"
        "heavy = {'airflow', 'boto3', 'botocore', 'pandas', 'pyarrow', 'numpy', 'xcomctl'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_the_syntax_is_that_of_python_3_8(path: Path) -> None:
    """Every module parses as Python 3.8 and keeps newer annotations from being evaluated."""
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert [alias.name for node in imports for alias in node.names] == ["annotations"]


def test_the_package_has_no_other_attributes() -> None:
    """An unknown attribute is an AttributeError, as of any module."""
    import xcomctl_backend

    with pytest.raises(AttributeError, match="has no attribute 'S3Backend'"):
        xcomctl_backend.S3Backend  # noqa: B018 - the look-up is the test


def test_importing_adds_little_to_boto3() -> None:
    """The backend without Airflow takes less than a quarter of the CPU to import that boto3 takes before it."""
    program = (
        "import time\n"
        "started = time.process_time()\n"
        "import boto3\n"
        "between = time.process_time()\n"
        "from xcomctl_backend import File, _exchange\n"
        "print((time.process_time() - between) / (between - started))\n"
    )
    run = [sys.executable, "-c", program]
    shares = [float(subprocess.run(run, capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    assert min(shares) < 0.25
