"""Assembles a Lua script from fragments, so that a call creates as few functions as possible.

Redis runs a script's whole text at each call, and that creates every function in it. Functions that
nothing calls are left out. Lazy ones, which are those of a fragment included as ``name?`` and those that
a script's header calls rare, are created when they are called first: calls go through the table `rare`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

_FUNCTION = re.compile(r"(?:local )?function (\w+)\(")
#: Variables of one layer; the most that a function may use of those around it (Lua's limit is 60).
_LAYER, _MOST_UPVALUES = 12, 50
_LOCAL = re.compile(r"local ([\w, ]+?)(?: =|$)", re.M)
#: A call that does not define the function, a declaration without a value, and a name that is no field.
_CALL = re.compile(r"(?<![\w.:'])(?<!function )(\w+)\(")
_DECLARED = re.compile(r"\blocal \w+$", re.M)
_NAME = re.compile(r"(?<![\w.:'])(\w+)\b(?!')")
_WORD = re.compile(r"\w+")


class _Block(NamedTuple):
    """A statement of a fragment's top level; ``name`` if it is a local function."""

    text: str
    name: str = ""


class Fragment(NamedTuple):
    """The code of one file, without comments."""

    name: str
    code: str
    lazy: bool = False


def assemble(fragments: Sequence[Fragment], body: str, rare: Collection[str] = ()) -> str:
    """The script's text. ``rare``: functions of other fragments that are lazy in this script.

    Raises TypeError if a lazy function is used other than in a call, or a lazy variable outside its fragment.
    """
    blocks = [(fragment, list(_blocks(fragment.code))) for fragment in fragments]
    every = [block for _, found in blocks for block in found]
    used = _used(body, every)
    if unknown := set(rare) - {block.name for block in every}:
        raise TypeError(f"no fragment has the function {', '.join(sorted(unknown))}")
    eager: list[str] = []
    lazy: list[list[_Block]] = []
    for fragment, found in blocks:
        kept = [block for block in found if not block.name or block.name in used]
        if not fragment.lazy:
            lazy += [[block] for block in kept if block.name in rare]
            eager += [block.text for block in kept if block.name not in rare]
        elif any(block.name for block in kept):
            lazy.append(kept)
    if not lazy:
        return _layered(eager, body)
    names = {block.name for group in lazy for block in group if block.name}
    loader = _loader(lazy, names, "\n".join([*eager, body]))
    eager = [_through(text, names) for text in eager]
    return _layered(["local rare = {}", *eager, loader], _through(body, names))


def _layered(parts: Sequence[str], body: str) -> str:
    """Nests the parts in functions, a few variables in each.

    When Lua creates a function, it searches each variable of the function around it among all that
    other functions there use; those from further out are only copied.
    """
    #: By word: the last part that has it; the body comes after all of them.
    last = {word: at for at, part in enumerate([*parts, body]) for word in _words(part)}
    names: list[str] = []
    opened, since, lines = 0, 0, []
    for at, part in enumerate(parts):
        lines.append(part)
        fresh = _declared(part)
        names += fresh
        since += len(fresh)
        if since >= _LAYER and sum(last[name] > at for name in set(names)) <= _MOST_UPVALUES:
            lines.append("return (function()")
            opened, since = opened + 1, 0
    return "\n".join([*lines, body, *["end)()"] * opened])


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text))


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
    words = _words("\n".join([body, *(b.text for b in blocks if not b.name)]))
    named = {block.name: _words(block.text) for block in blocks if block.name}
    used: set[str] = set()
    fresh = words & named.keys()
    while fresh:
        used |= fresh
        fresh = {word for name in fresh for word in named[name] & named.keys()} - used
    return used


def _loader(lazy: Sequence[Sequence[_Block]], names: set[str], eager: str) -> str:
    """The code that creates a lazy function, and those beside it, when it is asked for."""
    lines: list[str] = []
    outside = _words(eager)
    words = [_words("\n".join(block.text for block in group)) for group in lazy]
    for at, group in enumerate(lazy):
        own = {block.name for block in group if block.name}
        elsewhere = outside.union(*words[:at], *words[at + 1 :])
        if leaked := elsewhere & _variables(group):
            raise TypeError(f"others use {', '.join(sorted(leaked))} of a lazy fragment")
        asked = sorted(own & elsewhere)
        test = " or ".join(f"wanted == '{name}'" for name in asked)
        lines.append(f"{'elseif' if lines else 'if'} {test} then")
        for block in group:
            text = _through(block.text, names - own)
            lines.append(text if text.startswith("local ") or not block.name else "local " + text)
        lines.append(f"{', '.join(f'rare.{name}' for name in asked)} = {', '.join(asked)}")
    chosen = "\n".join([*lines, "end"])
    return (
        f"setmetatable(rare, {{ __index = function(_, wanted)\n{chosen}\n"
        "return rawget(rare, wanted)\nend })"
    )


def _variables(group: Sequence[_Block]) -> set[str]:
    return {name for block in group if not block.name for name in _declared(block.text)}


def _through(text: str, names: set[str]) -> str:
    """The text, in which calls of these functions go through `rare`."""
    if not names:
        return text
    changed = _CALL.sub(lambda found: f"rare.{found[1]}(" if found[1] in names else found[0], text)
    others = _DECLARED.sub("", changed)
    if left := next((word for word in _NAME.findall(others) if word in names), None):
        raise TypeError(f"{left} is lazy; it can only be called")
    return changed
