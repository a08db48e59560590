"""Writes `docs/commands.md` from the commands themselves: `python -m tests.docs.commands > docs/commands.md`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.models import ArgumentInfo, OptionInfo

from xcomctl.cli.app import EXIT_CODES, app

_HEAD = """\
# Commands

<!-- Made from the program by `python -m tests.docs.commands > docs/commands.md`; a test compares both. -->

`xcomctl COMMAND --help` says the same on a terminal. A time is written as `2026-11-01`, `2026-11-01T06:00:00Z` or as the
age `7d`; an age as `30d`, `12h`, `90m` or `1d12h`, never without a unit; a size as `10MB` (powers of 1000) or `1.5GiB` (of
1024). Globs are `*`, `?` and `[abc]`; put them between quotes.
"""

_SHARED = "Where rows and objects live"
"""The options that every verb but `demo` has: written once, at the end."""


@dataclass(frozen=True)
class Parameter:
    """One option or argument of a verb, as it is declared."""

    name: str
    info: Any
    """typer's OptionInfo or ArgumentInfo."""
    kind: type
    """Type without `| None` and `list[...]`."""
    default: Any

    @property
    def spellings(self) -> list[str]:
        """Every way to write it: `-o`, `--output`; both of `--orphans`, `--no-orphans`."""
        # Within Annotated, typer's first argument is a spelling, although it lands in the field of the default.
        declared = (self.info.default, *(self.info.param_decls or ()))
        return [name for each in declared if isinstance(each, str) for name in each.split("/")]


def verbs() -> dict[str, Callable[..., None]]:
    """Every verb as it is typed, `config show` included; those with verbs below them last."""
    root: Any = typer.main.get_command(app)
    context = typer.Context(root)
    whole = {name: root.resolve_command(context, [name])[1] for name in root.commands}
    found: dict[str, Callable[..., None]] = {}
    for name, command in sorted(whole.items(), key=lambda item: hasattr(item[1], "commands")):
        # A word that does nothing without a verb below it has no options.
        if command.params:
            found[name] = command.callback
        for below, each in getattr(command, "commands", {}).items():
            found[f"{name} {below}"] = each.callback
    return found


def parameters(verb: Callable[..., None]) -> list[Parameter]:
    """Options and arguments of a verb in the order of its help, without `--help`."""
    found = []
    for parameter in inspect.signature(verb, eval_str=True).parameters.values():
        if get_origin(parameter.annotation) is not Annotated:
            # The context of the command line is nobody's option.
            continue
        kind, info = get_args(parameter.annotation)[:2]
        plain = [each for each in get_args(kind) if each is not type(None)]
        found.append(Parameter(parameter.name, info, plain[0] if plain else kind, parameter.default))
    return found


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    for name, verb in verbs().items():
        yield from _verb(name, verb)
    yield f"## {_SHARED}\n"
    yield "Each of these can come from [the configuration](configuration.md) instead.\n"
    yield from _table("option", [each for each in parameters(verbs()["ls"]) if _panel(each) == _SHARED])
    yield "## Exit codes\n"
    yield "| exit code | means |\n|---|---|"
    yield from (f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())


def _verb(name: str, verb: Callable[..., None]) -> Iterator[str]:
    given = parameters(verb)
    arguments = [each for each in given if isinstance(each.info, ArgumentInfo)]
    usage = "".join(f" {argument.info.metavar}" for argument in arguments)
    yield f"## xcomctl {name}\n"
    yield f"```text\nxcomctl {name}{usage} [OPTIONS]\n```\n"
    yield from _description(inspect.getdoc(verb) or "")
    if arguments:
        yield "| argument | means |\n|---|---|"
        yield from (f"| `{each.info.metavar}` | {_cell(each.info.help)} |" for each in arguments)
        yield ""
    panels: dict[str, list[Parameter]] = {}
    for each in given:
        if isinstance(each.info, OptionInfo):
            panels.setdefault(_panel(each), []).append(each)
    shared = panels.pop(_SHARED, None)
    for panel, members in panels.items():
        yield from _table(panel[0].lower() + panel[1:], members)
    if shared:
        yield "And the options under [where rows and objects live](#where-rows-and-objects-live).\n"


def _panel(option: Parameter) -> str:
    return getattr(option.info, "rich_help_panel", None) or "Options"


def _table(head: str, members: list[Parameter]) -> Iterator[str]:
    yield f"| {head} | means | default |\n|---|---|---|"
    yield from (f"| {_spelling(each)} | {_cell(each.info.help)} | {_default(each)} |" for each in members)
    yield ""


def _description(text: str) -> Iterator[str]:
    """The text of the help; its examples become a block."""
    text, _, given = text.partition("Examples:")
    yield f"{text.strip()}\n"
    examples = [line.strip() for line in given.splitlines() if line.strip()]
    if examples:
        yield "```sh\n" + "\n".join(examples) + "\n```\n"


def _spelling(option: Parameter) -> str:
    names = ", ".join(f"`{name}`" for name in option.spellings)
    if option.kind is bool:
        return names
    if isinstance(option.kind, type) and issubclass(option.kind, Enum):
        return f"{names} {', '.join(f'`{member.value}`' for member in option.kind)}"
    return f"{names} {option.info.metavar or 'N'}"


def _default(option: Parameter) -> str:
    if isinstance(option.info.show_default, str):
        return f"`{option.info.show_default}`"
    value = option.default.value if isinstance(option.default, Enum) else option.default
    if value is None or value is False:
        return ""
    return f"`{option.spellings[0]}`" if value is True else f"`{value}`"


def _cell(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").replace("|", "&#124;")


if __name__ == "__main__":
    sys.stdout.write(page())
