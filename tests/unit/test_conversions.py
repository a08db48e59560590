"""Options that are kept from typer's conversion are what it would have made of them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from xcomctl.cli.conversions import spare_conversions


class Colour(str, Enum):
    """Some words."""

    red = "red"
    blue = "blue"


def outcome(words: list[str], *, spared: bool) -> Any:
    """What a verb is given for `words`, or the error that it ends with."""
    app = typer.Typer(add_completion=False)
    given: dict[str, Any] = {}

    @app.command()
    def verb(
        text: Annotated[str | None, typer.Option("--text")] = None,
        texts: Annotated[list[str] | None, typer.Option("--texts")] = None,
        number: Annotated[int, typer.Option("--number", min=0, max=9)] = 5,
        index: Annotated[int | None, typer.Option("--index", min=-1)] = None,
        share: Annotated[float | None, typer.Option("--share")] = None,
        colour: Annotated[Colour, typer.Option("--colour")] = Colour.red,
        path: Annotated[Path | None, typer.Option("--path")] = None,
        yes: Annotated[bool, typer.Option("--yes")] = False,
        either: Annotated[bool | None, typer.Option("--either/--neither")] = None,
        names: Annotated[list[str] | None, typer.Argument()] = None,
    ) -> None:
        given.update(locals())

    command: Any = typer.main.get_command(app)
    if spared:
        spare_conversions(command.get_params(typer.Context(command)))
    try:
        command.main(words, standalone_mode=False)
    except Exception as error:
        return type(error).__name__, str(error)
    del given["given"]
    return given, {name: type(value) for name, value in given.items()}


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--text a --texts b --texts c --number 7 --index 3 --share 0.5 --colour blue --path x --yes --neither d e",
        "--number 0 --either",
        "--number 9",
        "--number 10",
        "--number -1",
        "--number x",
        "--number 007",
        "--number ٣",
        "--index -1",
        "--index -2",
        "--colour green",
        "--colour RED",
        "--share x",
        "--help=x",
    ],
)
def test_a_value_is_the_same_with_and_without_typers_conversion(words: str) -> None:
    """Value, type and error, for every kind of option that a verb has."""
    assert outcome(words.split(), spared=True) == outcome(words.split(), spared=False)
