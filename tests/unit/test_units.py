"""Durations, sizes and times as people write them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from xcomctl.errors import UsageError
from xcomctl.units import format_duration, format_size, format_time, parse_duration, parse_size, parse_time

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("90m", timedelta(minutes=90)),
        ("2w", timedelta(weeks=2)),
        ("1d12h", timedelta(days=1, hours=12)),
        ("0s", timedelta(0)),
        ("0.5h", timedelta(minutes=30)),
        (" 7d ", timedelta(days=7)),
    ],
)
def test_durations_are_numbers_with_units(text: str, expected: timedelta) -> None:
    """Every unit, several of them, and a fraction are read."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "30", "-30d", "d", "30 d", "30days", "1y", "30d!", "1e3d", "nan"])
def test_a_duration_needs_a_unit_and_no_sign(text: str) -> None:
    """What is no duration is a usage error whose hint says what to write."""
    with pytest.raises(UsageError, match="is not a duration") as caught:
        parse_duration(text)
    assert caught.value.hint is not None


def test_the_hint_for_a_bare_number_completes_it() -> None:
    """`30` is most likely meant as days or hours."""
    with pytest.raises(UsageError) as caught:
        parse_duration("30")
    assert caught.value.hint == "write 30d for days or 30h for hours"


def test_a_duration_beyond_what_can_be_counted_is_a_usage_error() -> None:
    """A number of days that overflows is refused like any other bad duration."""
    with pytest.raises(UsageError, match="too long"):
        parse_duration("99999999999999d")


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(days=41, hours=3), "41d"),
        (timedelta(days=2), "2d"),
        (timedelta(hours=47), "47h"),
        (timedelta(hours=1), "1h"),
        (timedelta(minutes=59, seconds=59), "59m"),
        (timedelta(seconds=5), "5s"),
        (timedelta(0), "0s"),
    ],
)
def test_ages_show_their_largest_unit(duration: timedelta, expected: str) -> None:
    """Days begin at two of them, so that 47 hours keep their hours."""
    assert format_duration(duration) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("512", 512),
        ("4K", 4000),
        ("4KB", 4000),
        ("4KiB", 4096),
        ("4ki", 4096),
        ("10MB", 10_000_000),
        ("1.5GiB", 1_610_612_736),
        ("1TB", 10**12),
        ("1 PiB", 2**50),
        ("512B", 512),
    ],
)
def test_sizes_are_bytes_decimal_or_binary(text: str, expected: int) -> None:
    """K is a thousand and Ki is 1,024, with or without the B."""
    assert parse_size(text) == expected


@pytest.mark.parametrize("text", ["", "big", "-1", "10XB", "1.5.5MB", "MB"])
def test_what_is_no_size_is_a_usage_error(text: str) -> None:
    """The hint says what to write."""
    with pytest.raises(UsageError, match="is not a size") as caught:
        parse_size(text)
    assert caught.value.hint == "write 512, 10MB or 1.5GiB"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (12_900_000, "12.3 MiB"),
        (5 * 2**50, "5.0 PiB"),
    ],
)
def test_sizes_are_shown_in_binary_units(size: int, expected: str) -> None:
    """One decimal from KiB on."""
    assert format_size(size) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=timezone.utc)),
        ("2026-11-01T06:00:00Z", datetime(2026, 11, 1, 6, tzinfo=timezone.utc)),
        ("2026-11-01T06:00:00+02:00", datetime(2026, 11, 1, 4, tzinfo=timezone.utc)),
        ("2026-11-01 06:00", datetime(2026, 11, 1, 6, tzinfo=timezone.utc)),
        ("7d", NOW - timedelta(days=7)),
    ],
)
def test_a_time_is_a_date_or_an_age(text: str, expected: datetime) -> None:
    """Without a zone it is UTC; a duration means "ago"."""
    assert parse_time(text, now=NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "7", "-7d", "9999999d"])
def test_what_is_no_time_is_a_usage_error(text: str) -> None:
    """Also an age that reaches back before the calendar begins."""
    with pytest.raises(UsageError, match="is not a time"):
        parse_time(text, now=NOW)


def test_a_time_in_the_future_is_a_usage_error() -> None:
    """The hint tells the present time, because a wrong zone is the usual cause."""
    with pytest.raises(UsageError, match="lies in the future") as caught:
        parse_time("2026-11-22T12:00:01Z", now=NOW)
    assert caught.value.hint == "it is 2026-11-22T12:00:00Z now"


def test_times_are_shown_as_rfc_3339_in_utc() -> None:
    """Another zone is converted, fractions are dropped."""
    at = datetime(2026, 11, 1, 6, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(at) == "2026-11-01T04:00:00Z"
