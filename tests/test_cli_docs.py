"""``docs/cli.md`` lists every command, option and error code, and nothing else."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import hsejobs
import tasks
from hsejobs.errors import InvalidInput, JobsError, RedisUnavailable, SettingsError
from hsejobs_cli.app import app

PAGE = (Path(__file__).parent.parent / "docs" / "cli.md").read_text()
CODES_PAGE = PAGE.partition("## Error codes")[2]


def commands(group: Any, before: str = "hsejobs") -> Iterator[tuple[str, Any]]:
    # Includes the application's commands.
    for name in group.list_commands(None):
        one = group.get_command(None, name)
        path = f"{before} {name}"
        if not hasattr(one, "commands"):
            yield path, one
            continue
        if one.invoke_without_command:
            yield path, one
        yield from commands(one, path)


COMMANDS = dict(commands(typer.main.get_command(app)))


def sections() -> dict[str, str]:
    """The section of each command, by the command's name without arguments."""
    found = re.findall(r"^### `([^`]+)`\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return {re.sub(r" [\[A-Z].*", "", title): text for title, text in found}


def options(command: Any) -> set[str]:
    return {
        word
        for parameter in command.params
        if parameter.param_type_name == "option"
        for word in (*parameter.opts, *parameter.secondary_opts)
    } - {"--help", "-h"}


def codes() -> dict[str, set[type[JobsError]]]:
    for package in (hsejobs, tasks):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found: dict[str, set[type[JobsError]]] = {}
    todo: list[type[JobsError]] = [JobsError]
    while todo:
        kind = todo.pop()
        # Skips the errors that tests define.
        if kind.__module__.startswith(("hsejobs.", "tasks.")):
            found.setdefault(kind.code, set()).add(kind)
        todo += kind.__subclasses__()
    return found


def test_every_command_has_its_section() -> None:
    assert set(sections()) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_is_there_and_no_other(name: str) -> None:
    text = sections()[name]
    assert set(re.findall(r"`(--[a-z-]+)`", text)) == options(COMMANDS[name])
    examples = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 1
    assert examples[0].startswith(name)
    assert set(re.findall(r"(--[a-z-]+)", examples[0])) <= options(COMMANDS[name])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_argument_is_in_the_title(name: str) -> None:
    [title] = [
        one
        for one in re.findall(r"^### `([^`]+)`", PAGE, re.MULTILINE)
        if re.sub(r" [\[A-Z].*", "", one) == name
    ]
    arguments = [one for one in COMMANDS[name].params if one.param_type_name == "argument"]
    assert len(title.removeprefix(name).split()) == len(arguments)


def test_every_error_code_has_its_line_and_exit_status() -> None:
    said: dict[str, int] = {}
    for names, status in re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) \| (\d) \|", CODES_PAGE, re.MULTILINE
    ):
        said |= dict.fromkeys(re.findall(r"`(\w+)`", names), int(status))
    # Codes without an exception class, set by Redis or by the engine's verdict on a run.
    judged = {"stalled", "out_of_memory", "revoked", "expired", "cancelled", "rate_limited"}
    found = codes()
    assert set(said) == set(found) | judged
    for code, kinds in found.items():
        expected = {
            3
            if issubclass(kind, RedisUnavailable)
            else 2
            if issubclass(kind, InvalidInput | SettingsError)
            else 1
            for kind in kinds
        }
        # A code that can also end a job (such as a payload's) is shown as the job's failure, status 1.
        assert said[code] in expected, code
