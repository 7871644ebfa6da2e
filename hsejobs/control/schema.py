"""What of a JSON Schema a payload is checked against before it is added: the common words of it.

The worker's own model has the last word; this finds what a slip of the hand is:
a field that is not there, a wrong kind, a value out of a list or a range.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from typing import Any

from hsejobs.masking import MASK

Problem = tuple[str, str]
_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str, "object": dict, "array": list, "boolean": bool, "null": type(None),
    "integer": int, "number": (int, float),
}  # fmt: skip
#: Levels that are looked into: a schema may refer to itself.
DEPTH = 8


def problems(data: Any, schema: dict[str, Any]) -> list[Problem]:
    """(field, what is wrong), none of it a value; empty when nothing was found."""
    return list(_check(data, schema, "", schema, DEPTH))


def _check(data: Any, schema: Any, at: str, root: dict[str, Any], depth: int) -> Iterator[Problem]:
    # A secret that is left as it was stays what it is in the store.
    if not isinstance(schema, dict) or depth < 0 or data == MASK:
        return
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        yield from _check(data, root.get("$defs", {}).get(name), at, root, depth - 1)
        return
    if choices := schema.get("anyOf"):
        tried = [list(_check(data, one, at, root, depth - 1)) for one in choices]
        if all(tried):
            yield from _closest(tried, at)
    kind = schema.get("type")
    if isinstance(kind, str) and kind in _KINDS and not _is(data, kind):
        yield at or "payload", f"must be {'an' if kind[0] in 'aoi' else 'a'} {kind}"
        return
    if "enum" in schema and data not in schema["enum"]:
        yield at or "payload", "use one of: " + ", ".join(map(str, schema["enum"]))
    if isinstance(data, str):
        yield from _bounds(len(data), schema, at, "Length", "characters")
        # A pattern is told, as nobody can guess it; one of another dialect is left to the worker.
        with contextlib.suppress(re.error):
            if "pattern" in schema and not re.search(schema["pattern"], data):
                told = schema.get("description")
                yield (
                    at or "payload",
                    f"must be {told}" if told else f"does not match {schema['pattern']}",
                )
    elif isinstance(data, list):
        yield from _bounds(len(data), schema, at, "Items", "items")
        for n, one in enumerate(data):
            yield from _check(one, schema.get("items"), f"{at}[{n}]", root, depth - 1)
    elif isinstance(data, dict):
        yield from _fields(data, schema, at, root, depth)
    elif _is(data, "number"):
        yield from _bounds(data, schema, at, "imum", "")


def _closest(tried: list[list[Problem]], at: str) -> list[Problem]:
    """What to say where none of several forms fits."""
    required = [found[0][0] for found in tried if [what for _, what in found] == ["is required"]]
    if len(required) == len(tried) > 1:
        names = [name.rpartition(".")[2] for name in required]
        return [(at or "payload", f"give {', '.join(names[:-1])} or {names[-1]}")]
    # The one that came closest: the right kind with something wrong in it.
    return min(tried, key=lambda found: (_other_kind(found[0], at), len(found)))


def _other_kind(problem: Problem, at: str) -> bool:
    place, what = problem
    return place == (at or "payload") and what.startswith(("must be a ", "must be an "))


def _fields(
    data: dict[str, Any], schema: dict[str, Any], at: str, root: dict[str, Any], depth: int
) -> Iterator[Problem]:
    fields = schema.get("properties", {})
    # The platform's models take both spellings.
    known = {name: name for name in fields} | {_snake(name): name for name in fields}
    given = {known.get(name, name) for name in data}
    for name in schema.get("required", []):
        if name not in given:
            yield _at(at, name), "is required"
    for name, value in data.items():
        if name in known:
            yield from _check(value, fields[known[name]], _at(at, name), root, depth - 1)
        elif schema.get("additionalProperties") is False:
            yield _at(at, name), "is no field of it; there are: " + ", ".join(fields)


def _bounds(
    size: float, schema: dict[str, Any], at: str, what: str, unit: str
) -> Iterator[Problem]:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if (least is not None and size < least) or (most is not None and size > most):
        words = " and ".join(
            [f"at least {least}"] * (least is not None) + [f"at most {most}"] * (most is not None)
        )
        yield at, f"must be {words} {unit}".rstrip()


def _is(data: Any, kind: str) -> bool:
    if isinstance(data, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(data, float):
        return math.isfinite(data) and data == int(data)
    return isinstance(data, _KINDS[kind])


def _at(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", lambda found: "_" + found[1].lower(), name)
