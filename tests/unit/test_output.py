"""One column list and one stream of items, in every format."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from xcomctl.cli.output.columns import Column, Fit, OutputStyle
from xcomctl.cli.output.formats import write
from xcomctl.cli.output.text import json_safe, visible
from xcomctl.errors import UsageError


@dataclass(frozen=True)
class Item:
    """Something to show."""

    name: str | None
    size: int | None = None
    at: datetime | None = None
    extra: Any = None


COLUMNS: list[Column[Item]] = [
    Column("name", lambda item: item.name, "NAME"),
    Column("size", lambda item: item.size, "SIZE", human=lambda item: f"{item.size} bytes", number=True),
    Column("written_at", lambda item: item.at, "AGE", human=lambda _item: "3h", fit=Fit.whole),
    Column("extra", lambda item: item.extra),
]
AT = datetime(2026, 11, 1, 6, tzinfo=timezone.utc)


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def written(
    items: list[Item], output: str = "table", columns: str | None = None, template: str | None = None
) -> str:
    """What is written to a stream that is no terminal."""
    stream = io.StringIO()
    write(items, COLUMNS, OutputStyle.parse(output, columns, template), stream)
    return stream.getvalue()


def test_a_table_has_titles_human_values_and_aligned_columns() -> None:
    """Numbers to the right, text to the left, absent values as a dash; columns without a title are left out."""
    assert written([Item("a", 5), Item(None, 12345)]) == (
        "NAME         SIZE  AGE\n"
        "a         5 bytes  3h\n"
        "-     12345 bytes  3h\n"
    )  # fmt: skip


def test_a_table_without_items_is_empty() -> None:
    """No head without a body."""
    assert written([]) == ""


def test_an_item_that_comes_late_is_not_cut_off_a_terminal() -> None:
    """Widths are those of the first thousand rows; a wider one later keeps all of its text."""
    items = [Item("a", 1)] * 1000 + [Item("x" * 40, 2)]
    assert "x" * 40 in written(items)


@pytest.mark.parametrize("width", [30, 40, 80])
def test_a_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """What may be cut is cut until every line fits, wide characters counted as two columns."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    write([Item("漢字" * 60, 1), Item("n" * 200, 2)], COLUMNS, OutputStyle(), stream)
    lines = re.sub("\x1b\\[[0-9]*m", "", stream.getvalue()).splitlines()
    assert [line for line in lines if _columns(line) > width] == []
    assert ["…" in line for line in lines] == [False, True, True]


def _columns(line: str) -> int:
    return sum(2 if char in "漢字" else 1 for char in line)


def test_a_cut_in_the_middle_keeps_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """For names that begin alike."""
    monkeypatch.setenv("COLUMNS", "21")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    columns: list[Column[Item]] = [Column("name", lambda item: item.name, "NAME", fit=Fit.middle)]
    write([Item("manual__2026-11-01T00:00:00")], columns, OutputStyle(), stream)
    assert stream.getvalue().splitlines()[1:] == ["manual__20…1T00:00:00"]


def test_a_terminal_gets_no_escapes_that_data_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escape sequences, line ends and marks that reorder text are written out."""
    monkeypatch.setenv("NO_COLOR", "1")
    hostile = "a\x1b[2Jb\nc\x9bd\u202ee\x7f"
    shown = r"a\x1b[2Jb\nc\x9bd\u202ee\x7f"
    assert visible(hostile) == shown
    assert shown in written([Item(hostile, 1)])
    assert visible("é 漢 😀 [bold]") == "é 漢 😀 [bold]"


def test_json_is_a_list_of_objects_with_every_column() -> None:
    """Bytes as integers, times as RFC 3339, durations in seconds, absent as null."""
    text = written([Item("a", 5, AT, [timedelta(minutes=1), {"k": (1, None)}]), Item("é")], "json")
    assert json.loads(text) == [
        {"name": "a", "size": 5, "written_at": "2026-11-01T06:00:00Z", "extra": [60.0, {"k": [1, None]}]},
        {"name": "é", "size": None, "written_at": None, "extra": None},
    ]
    assert "é" in text


def test_json_without_items_is_an_empty_list() -> None:
    """Still a document."""
    assert written([], "json") == "[]\n"


def test_json_is_harmless_on_a_terminal_and_keeps_its_meaning() -> None:
    """What could steer a terminal is a JSON escape."""
    hostile = "\x1b\x9b\u202e\x7f\ud800"
    text = written([Item(hostile)], "ndjson")
    assert json.loads(text)["name"] == hostile
    assert text.isascii()
    assert json_safe('["é"]') == '["é"]'


def test_ndjson_is_written_item_by_item() -> None:
    """A line is there before the next item is asked for."""
    stream = io.StringIO()
    seen = []

    def items() -> Iterator[Item]:
        for number in range(3):
            seen.append(stream.getvalue().count("\n"))
            yield Item("a", number)

    write(items(), COLUMNS, OutputStyle("ndjson", ("size",)), stream)
    assert seen == [0, 1, 2]
    assert stream.getvalue() == '{"size": 0}\n{"size": 1}\n{"size": 2}\n'


def test_csv_is_that_of_rfc_4180() -> None:
    """A head, CRLF, quotes doubled; absent values are empty, others as in JSON."""
    text = written([Item('a "b", c\r\nd', 5, AT, [1, "x"]), Item(None, extra=True)], "csv")
    assert text == (
        'name,size,written_at,extra\r\n"a ""b"", c\r\nd",5,2026-11-01T06:00:00Z,"[1, ""x""]"\r\n,,,true\r\n'
    )
    assert len(list(csv.reader(io.StringIO(text, newline="")))) == 3


def test_csv_on_a_terminal_cannot_steer_it() -> None:
    """There it is for people; elsewhere every byte is as it was."""
    item = Item("a\x1b]0;owned\x07\r\nb")
    stream = Terminal()
    write([item], [*COLUMNS[:1], Column("x\x9bm", lambda _: 1)], OutputStyle("csv"), stream)
    assert stream.getvalue() == "name,x\\x9bm\r\na\\x1b]0;owned\\x07\\r\\nb,1\r\n"
    assert written([item], "csv", "name") == 'name\r\n"a\x1b]0;owned\x07\r\nb"\r\n'


def test_csv_without_items_is_its_head() -> None:
    """So that a reader finds the columns."""
    assert written([], "csv", "size") == "size\r\n"


@pytest.mark.parametrize("output", ["table", "json", "ndjson", "csv"])
def test_columns_are_chosen_by_name_or_title_in_any_format(output: str) -> None:
    """In the order given; also those that tables leave out."""
    text = written([Item("a", 5, AT, "x")], output, "extra, AGE,name")
    names = ["EXTRA", "AGE", "NAME"] if output == "table" else ["extra", "written_at", "name"]
    at = [text.index(name) for name in names]
    assert at == sorted(at)
    assert "size" not in text.lower()


def test_an_unknown_column_is_named_with_those_that_exist() -> None:
    """Before anything is written."""
    with pytest.raises(UsageError, match="there is no column 'sizes'") as caught:
        written([Item("a")], "csv", "name,sizes")
    assert caught.value.hint == "columns: name, size, written_at, extra"


def test_a_template_is_a_line_per_item() -> None:
    """Named fields with formats; absent values are empty but keep their width; doubled braces are braces."""
    template = "{name}|{size:>8,}|{written_at}|{{}}|{extra}"
    assert written([Item("a", 12345, AT, True), Item(None)], template=template) == (
        "a|  12,345|2026-11-01T06:00:00Z|{}|true\n|        ||{}|\n"
    )


@pytest.mark.parametrize(
    ("template", "cause"),
    [
        ("{name.__class__}", "the template's field {name.__class__} is not a plain name"),
        ("{name[0]}", "the template's field {name[0]} is not a plain name"),
        ("{}", "the template's field {} is not a plain name"),
        ("{0}", "the template's field {0} is not a plain name"),
        ("{nam}", "there is no column 'nam'"),
        ("{name!r}", "the template's field {name} uses more than a plain format"),
        ("{name:{size}}", "the template's field {name} uses more than a plain format"),
        ("{name", "the template cannot be read: expected '}' before end of string"),
        ("{name:d}", "name cannot be formatted as 'd'"),
        ("{size:99999999999}", "the template's field {size} uses more than a plain format"),
    ],
)
def test_a_template_cannot_reach_into_values(template: str, cause: str) -> None:
    """Attributes, items and conversions are refused, with the cause."""
    with pytest.raises(UsageError) as caught:
        written([Item("a", 1)], template=template)
    assert str(caught.value) == cause


@pytest.mark.parametrize(
    ("output", "columns", "template", "cause"),
    [
        ("json", None, "{name}", "--template goes with neither"),
        ("table", "name", "{name}", "--template goes with neither"),
        ("table", " , ", None, "--columns names no column"),
        ("yaml", None, None, "'yaml' is no output format"),
    ],
)
def test_styles_that_contradict_themselves_are_usage_errors(
    output: str, columns: str | None, template: str | None, cause: str
) -> None:
    """Rather than one option silently winning."""
    with pytest.raises(UsageError, match=cause):
        OutputStyle.parse(output, columns, template)
