"""The directive ``command-line``: every command with its arguments and options, read from the program itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive
from markup import table
from typer.main import get_command

from rectified.cli import app as program

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class CommandLine(Directive):
    """All commands of the program."""

    def run(self) -> list[nodes.Node]:
        commands: dict[str, Any] = getattr(get_command(program), "commands")  # noqa: B009 - typed without it
        lines = [line for name, command in commands.items() for line in described(name, command)]
        self.state_machine.insert_input(lines, __file__)
        return []


def described(name: str, command: Any) -> list[str]:
    arguments = [f" {each.metavar}" for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and "--help" not in each.opts]
    rows = [[f"``{', '.join((*each.opts, *each.secondary_opts))}``", meaning(each)] for each in options]
    lines = [f".. rubric:: rectified {name}{''.join(arguments)}", "", command.help, ""]
    return lines + (table([["Option", "Meaning"], *rows]) if rows else [])


def meaning(option: Any) -> str:
    given = option.default not in (None, "") and not option.is_flag
    return f"{option.help} Default: ``{option.default}``." if given else str(option.help)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}
