"""How things are shown: tables for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

#: Columns of a pipe: more than any row has.
PIPED = 1_000_000


def document(data: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(data, ensure_ascii=True, indent=2) + "\n")


def safe(value: Any) -> str:
    """Data as text that no terminal can be fooled by."""
    text = "-" if value is None else str(value)
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> None:
    """A table; never wider than the terminal, on more lines rather than cut.

    Piped it is plain, each row on one line, however long: programs and `grep` read it.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        made.add_column(name, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(safe(value)) for value in row))
    if sys.stdout.isatty():
        Console(highlight=False).print(made)
        return
    wide = Console(width=PIPED, highlight=False)
    wide.print(made, width=max(1, wide.measure(made).maximum), no_wrap=True)


def confirm(question: str, *, yes: bool, word: str | None = None) -> None:
    """Asks before something is destroyed; exits with 1 when the answer is no, 2 when none can come."""
    import typer

    if yes:
        return
    if not sys.stdin.isatty():
        sys.stderr.write(f"error: {question} -- add --yes to answer where nobody can be asked\n")
        raise typer.Exit(2)
    if word is not None:
        answer = typer.prompt(f"{question} Type {word} to go on", err=True)
        if answer != word:
            raise typer.Exit(1)
    elif not typer.confirm(question, err=True):
        raise typer.Exit(1)
