"""How much of the machine an inventory may take, as it is configured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_config import configuration, home
from xcomctl.config.settings import Setting
from xcomctl.errors import UsageError
from xcomctl.inventory.workspace import Resources

__all__ = ["home"]


def test_without_a_word_it_is_a_gibibyte_and_all_cores(home: Path) -> None:
    """And the system's folder for temporary files."""
    assert configuration(home).resources() == Resources(memory=1 << 30, threads=None, tmp=None)


def test_each_limit_comes_from_the_first_place_that_has_it(home: Path) -> None:
    """Option, variable, profile, file: as all other settings."""
    (home / "spill").mkdir()
    (home / "xcomctl.toml").write_text(
        'memory = "2GiB"\nthreads = 3\ntmp = "spill"\n[profile.small]\nmemory = "256MiB"\n'
    )
    found = configuration(home, {"XCOMCTL_THREADS": "2"}, profile="small")
    assert found.memory() == Setting(256 << 20, "profile small in xcomctl.toml")
    assert found.threads() == Setting(2, "XCOMCTL_THREADS")
    assert found.tmp() == Setting(Path("spill"), "xcomctl.toml")
    assert configuration(home, threads="8", memory="1GB").resources() == Resources(10**9, 8, Path("spill"))


@pytest.mark.parametrize(
    ("flags", "cause", "hint"),
    [
        ({"memory": "much"}, "'much' is not a size (--memory)", "--memory 1GiB"),
        (
            {"memory": "10MB"},
            "memory of 10MB (--memory) is less than an inventory needs",
            "at least --memory 64MiB",
        ),
        ({"threads": "0"}, "threads '0' (--threads) is not a number from 1 to 256", "--threads 4"),
        ({"threads": "-1"}, "threads '-1' (--threads) is not a number from 1 to 256", "--threads 4"),
        ({"threads": "two"}, "threads 'two' (--threads) is not a number from 1 to 256", "--threads 4"),
        ({"tmp": "nowhere"}, "nowhere (--tmp) is not a folder", "mkdir -p nowhere"),
        ({"tmp": ""}, "--tmp is empty", "give it a value, or leave --tmp out"),
    ],
    ids=lambda value: " ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_a_limit_that_is_none_is_told_with_its_origin(
    home: Path, flags: dict[str, Any], cause: str, hint: str
) -> None:
    """A cause in one line, and what to type."""
    with pytest.raises(UsageError) as raised:
        configuration(home, **flags).resources()
    assert (str(raised.value), raised.value.hint) == (cause, hint)
