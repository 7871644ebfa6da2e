"""Assembles a Lua script from fragments, so that a call creates as few functions as possible.

Redis runs a script's whole text at each call, and that creates every function in it. Functions that
nothing calls are left out. A fragment included as ``name?`` is lazy: its functions are created when
one of them is called first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FUNCTION = re.compile(r"local function (\w+)\(")
#: Variables of one layer; the most that a function may use of those around it (Lua's limit is 60).
_LAYER, _MOST_UPVALUES = 12, 50
_LOCAL = re.compile(r"local ([\w, ]+?)(?: =|$)", re.M)


@dataclass(frozen=True, slots=True)
class _Block:
    """A statement of a fragment's top level; ``name`` if it is a local function."""

    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Fragment:
    """The code of one file, without comments."""

    name: str
    code: str
    lazy: bool = False


def assemble(fragments: Sequence[Fragment], body: str) -> str:
    """The script's text. Raises TypeError if another fragment uses a lazy one's variable."""
    blocks = [(fragment, list(_blocks(fragment.code))) for fragment in fragments]
    used = _used(body, [block for _, found in blocks for block in found])
    parts = []
    for at, (fragment, found) in enumerate(blocks):
        kept = [block for block in found if not block.name or block.name in used]
        if not fragment.lazy:
            parts += [block.text for block in kept]
            continue
        others = [block.text for _, more in blocks[:at] + blocks[at + 1 :] for block in more]
        parts.append(_lazy(fragment.name, kept, "\n".join([*others, body])))
    return _layered(list(filter(None, parts)), body)


def _layered(parts: Sequence[str], body: str) -> str:
    """Nests the parts in functions, a few variables in each.

    When Lua creates a function, it searches each variable of the function around it among all that
    other functions there use; those from further out are only copied.
    """
    rest = ["\n".join(parts[at:]) + "\n" + body for at in range(len(parts) + 1)]
    names: list[str] = []
    opened, since, lines = 0, 0, []
    for at, part in enumerate(parts):
        lines.append(part)
        fresh = _declared(part)
        names += fresh
        since += len(fresh)
        inside = set(re.findall(r"\w+", rest[at + 1]))
        if since >= _LAYER and len(inside.intersection(names)) <= _MOST_UPVALUES:
            lines.append("return (function()")
            opened, since = opened + 1, 0
    return "\n".join([*lines, body, *["end)()"] * opened])


def _declared(part: str) -> list[str]:
    match = _FUNCTION.match(part) or _LOCAL.match(part)
    return [word.strip() for word in match[1].split(",")] if match else []


def _blocks(code: str) -> Iterator[_Block]:
    """Splits code at the lines that begin in the first column and end a block."""
    lines: list[str] = []
    for line in code.splitlines():
        if not line.strip():
            continue
        lines.append(line)
        opens = len(lines) == 1 and re.search(r"(\bfunction\b.*\)|\b(then|do)|[{(])$", line)
        if opens or line.startswith(" "):
            continue
        if len(lines) == 1 or line.startswith(("end", "}", ")")):
            match = _FUNCTION.match(lines[0])
            yield _Block("\n".join(lines), match[1] if match else "")
            lines = []
    if lines:
        yield _Block("\n".join(lines))


def _used(body: str, blocks: Sequence[_Block]) -> set[str]:
    """The names of the functions that the body needs."""
    words = set(re.findall(r"\w+", "\n".join([body, *(b.text for b in blocks if not b.name)])))
    named = {block.name: set(re.findall(r"\w+", block.text)) for block in blocks if block.name}
    used: set[str] = set()
    fresh = words & named.keys()
    while fresh:
        used |= fresh
        fresh = {word for name in fresh for word in named[name] & named.keys()} - used
    return used


def _lazy(name: str, blocks: Sequence[_Block], others: str) -> str:
    """A function that creates the fragment's functions, and a stand-in for each that is called elsewhere."""
    functions = [block.name for block in blocks if block.name]
    if not functions:
        return ""
    words = set(re.findall(r"\w+", others))
    shared = [one for one in functions if one in words]
    variables = [
        word.strip()
        for block in blocks
        if not block.name and (match := _LOCAL.match(block.text))
        for word in match[1].split(",")
    ]
    if leaked := words.intersection(variables):
        raise TypeError(f"{name}.lua is lazy; others use its {', '.join(sorted(leaked))}")
    load = f"load_{name}"
    lines = [f"local {', '.join(shared)}", f"local function {load}()"]
    for block in blocks:
        outside = block.name in shared
        lines.append(block.text.removeprefix("local ") if outside else block.text)
    lines.append("end")
    lines += [f"{one} = function(...) {load}() return {one}(...) end" for one in shared]
    return "\n".join(lines)
