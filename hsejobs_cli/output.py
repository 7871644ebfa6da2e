"""Output of the commands: tables for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

#: Width of a pipe in columns: wider than any row.
PIPED = 1_000_000


def document(data: Any) -> None:
    """Prints one JSON document on stdout."""
    sys.stdout.write(json.dumps(data, ensure_ascii=True, indent=2) + "\n")


def safe(value: Any) -> str:
    """Returns the value as text, with control characters escaped so that they cannot drive the terminal."""
    text = "-" if value is None else str(value)
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> None:
    """Prints a table. On a terminal, long cells are wrapped, never cut.

    In a pipe each row is one plain line, however long, for programs such as `grep`.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        grid.add_column(name, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(safe(value)) for value in row))
    if sys.stdout.isatty():
        Console(highlight=False).print(grid)
        return
    wide = Console(width=PIPED, highlight=False)
    wide.print(grid, width=max(1, wide.measure(grid).maximum), no_wrap=True)


def confirm_act(
    act: str, question: str, *, yes: bool, matching: bool = False, word: str | None = None
) -> None:
    """Asks before an act if the table of acts says that a command does; see `confirm`.

    ``matching``: the act is on the jobs that match a filter.
    """
    from hsejobs.control.act_table import ACTS

    if ACTS[act].command_asks(matching=matching):
        confirm(question, yes=yes, word=word)


def confirm(question: str, *, yes: bool, word: str | None = None) -> None:
    """Asks for confirmation; exits with 1 if the answer is no, with 2 if there is no terminal to ask on.

    ``word``: the word that the user must type; by default the question takes yes or no.
    """
    import typer

    if yes:
        return
    if not sys.stdin.isatty():
        sys.stderr.write(f"error: {question} There is no terminal to ask on; add --yes.\n")
        raise typer.Exit(2)
    if word is not None:
        answer = typer.prompt(f"{question} Type {word} to confirm", err=True)
        if answer != word:
            raise typer.Exit(1)
    elif not typer.confirm(question, err=True):
        raise typer.Exit(1)
