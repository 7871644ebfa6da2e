"""Check payloads against a JSON Schema, for queues whose code this process does not have.

The worker's model decides in the end, and nothing that it accepts is refused here: unknown keywords
are ignored, and so are values that the model may convert to the type, such as "5" or true for a
number. Supported are ``$ref`` inside the schema, ``anyOf``, ``oneOf`` (as anyOf, and by its
``discriminator``), ``allOf``, ``type``, ``enum``, ``const``, ``minLength``, ``maxLength``,
``pattern``, ``minimum``, ``maximum``, ``exclusiveMinimum``, ``exclusiveMaximum``, ``items``,
``prefixItems``, ``minItems``, ``maxItems``, ``properties``, ``required``, ``additionalProperties``,
``patternProperties``, ``minProperties``, ``maxProperties``.

A check takes bounded time, whatever the schema and payload are: the rest is left to the worker.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from hsejobs.control import patterns
from hsejobs.masking import SEALED

Problem = tuple[str, str]
_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "object": dict,
    "array": list,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
#: Maximum recursion into schema and payload: a schema may refer to itself.
DEPTH = 100
#: Maximum cost of one check, in regex steps (about 30 ns); each part of a payload costs STEP.
BUDGET, STEP = 2_000_000, 40
#: Maximum depth of a sample, and of the items in each of its lists.
SAMPLE_DEPTH, SAMPLE_ITEMS = 8, 3


def problems(data: Any, schema: dict[str, Any], most: int = 10) -> list[Problem]:
    """Up to ``most`` problems as (field, message), without values; empty when none was found."""
    return list(islice(_Check(schema).part(data, schema, "", DEPTH), most))


def sample(schema: dict[str, Any]) -> Any:
    """A payload to start from: the fields that the schema requires, with examples or least values."""
    return _sample(schema, {"type": "object", **schema}, SAMPLE_DEPTH)


def _sample(root: dict[str, Any], part: Any, depth: int) -> Any:
    if not isinstance(part, dict) or depth < 0:
        return ""
    for name in ("default", "const"):
        if name in part:
            return part[name]
    for name in ("examples", "enum"):
        if found := _list(part.get(name)):
            return found[0]
    if "$ref" in part:
        return _sample(root, resolve(root, part["$ref"]), depth - 1)
    for name in ("anyOf", "oneOf", "allOf"):
        if "type" not in part and (found := _list(part.get(name))):
            return _sample(root, found[0], depth - 1)
    kind = (_list(part.get("type")) or [part.get("type")])[0]
    if kind == "object":
        fields = _dict(part.get("properties"))
        names = _list(part.get("required"))
        return {name: _sample(root, fields.get(name), depth - 1) for name in names}
    if kind == "array":
        count = min(int(_number(part.get("minItems")) or 0), SAMPLE_ITEMS)
        return [_sample(root, part.get("items"), depth - 1) for _ in range(count)]
    if kind in ("integer", "number"):
        least, above = _number(part.get("minimum")), _number(part.get("exclusiveMinimum"))
        value = max(0 if least is None else least, 0 if above is None else above + 1)
        return int(value) if kind == "integer" else value
    return {"boolean": False, "null": None}.get(str(kind), "")


def resolve(root: Any, ref: Any) -> Any:
    """The part of the schema that a ``$ref`` names; None for a reference outside the schema."""
    if not isinstance(ref, str) or not ref.startswith("#"):
        return None
    found = root
    for word in ref[1:].split("/")[1:]:
        key = word.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    return found


class _Check:
    """One check: the whole schema, and the remaining budget."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.left = BUDGET

    def part(self, data: Any, schema: Any, at: str, depth: int) -> Iterator[Problem]:
        """The problems of a part of the payload, checked against its part of the schema."""
        self.left -= STEP
        if not isinstance(schema, dict) or depth < 0 or self.left < 0:
            return
        # Sealed values cannot be checked without the key.
        if isinstance(data, dict) and SEALED in data:
            return
        if "$ref" in schema:
            yield from self.part(data, resolve(self.root, schema["$ref"]), at, depth - 1)
        for one in _list(schema.get("allOf")):
            yield from self.part(data, one, at, depth - 1)
        yield from self._one_of(data, _list(schema.get("anyOf")), at, depth)
        named = _discriminated(data, schema)
        yield from self._one_of(data, named or _list(schema.get("oneOf")), at, depth)
        kinds = _list(schema.get("type")) or [schema.get("type")]
        if not any(_is(data, kind) for kind in kinds):
            if not any(_reads_as(data, kind, schema) for kind in kinds):
                yield at or "payload", f"must be {' or '.join(map(_article, kinds))}"
            return
        yield from self._values(data, schema, at)
        if isinstance(data, str):
            yield from self._text(data, schema, at)
        elif isinstance(data, list):
            yield from _bounds(len(data), schema, at, "Items", "items")
            first, rest = _list(schema.get("prefixItems")), schema.get("items")
            for n, one in enumerate(data):
                inner = first[n] if n < len(first) else rest
                yield from self.part(one, inner, f"{at}[{n}]", depth - 1)
        elif isinstance(data, dict):
            yield from self._fields(data, schema, at, depth)
        elif isinstance(data, int | float) and not isinstance(data, bool):
            yield from _range(data, schema, at)

    def _one_of(self, data: Any, choices: list[Any], at: str, depth: int) -> Iterator[Problem]:
        tried = []
        for one in choices:
            found = list(islice(self.part(data, one, at, depth - 1), 20))
            if not found:
                return
            tried.append(found)
        if tried and self.left >= 0:
            yield from _closest(tried, at)

    def _values(self, data: Any, schema: dict[str, Any], at: str) -> Iterator[Problem]:
        if "const" in schema and data != schema["const"]:
            yield at or "payload", f"must be {_shown(schema['const'])}"
        choices = schema.get("enum")
        if isinstance(choices, list):
            self.left -= STEP * len(choices) // 10
            if data not in choices:
                yield at or "payload", "must be one of: " + ", ".join(map(_shown, choices))

    def _text(self, text: str, schema: dict[str, Any], at: str) -> Iterator[Problem]:
        yield from _bounds(len(text), schema, at, "Length", "characters")
        pattern = schema.get("pattern")
        if pattern is not None and not self._fits(pattern, text):
            expected = schema.get("description")
            problem = f"must be {expected}" if expected else f"must match {pattern}"
            yield at or "payload", problem

    def _fits(self, pattern: Any, text: str) -> bool:
        """Whether a text matches; True also if the check is left to the worker."""
        cost = patterns.cost(pattern, len(text)) if isinstance(pattern, str) else math.inf
        if cost > self.left:
            return True
        self.left -= int(cost)
        return re.search(pattern, text) is not None

    def _fields(
        self, data: dict[str, Any], schema: dict[str, Any], at: str, depth: int
    ) -> Iterator[Problem]:
        fields = _dict(schema.get("properties"))
        by_pattern = _dict(schema.get("patternProperties"))
        others = schema.get("additionalProperties")
        # Payload models accept both spellings.
        known = {_snake(name): name for name in fields} | {name: name for name in fields}
        given = {known.get(name, name) for name in data}
        for name in _list(schema.get("required")):
            if name not in given:
                yield _at(at, name), "is required"
        yield from _bounds(len(data), schema, at, "Properties", "fields")
        for name, value in data.items():
            if name in known:
                yield from self.part(value, fields[known[name]], _at(at, name), depth - 1)
            elif any(self._fits(pattern, str(name)) for pattern in by_pattern):
                continue
            elif others is False:
                yield _at(at, name), "is not a known field; known are: " + ", ".join(fields)
            else:
                yield from self.part(value, others, _at(at, name), depth - 1)


def _discriminated(data: Any, schema: dict[str, Any]) -> list[Any]:
    """The variant that a payload selects by OpenAPI's ``discriminator``; empty if it selects none."""
    discriminator = _dict(schema.get("discriminator"))
    name, forms = discriminator.get("propertyName"), _dict(discriminator.get("mapping"))
    if not isinstance(data, dict) or not isinstance(name, str):
        return []
    form = data.get(name, data.get(_snake(name)))
    return [{"$ref": forms[form]}] if isinstance(form, str) and form in forms else []


def _closest(tried: list[list[Problem]], at: str) -> list[Problem]:
    """The problems to report when none of several variants matches."""
    required = [found[0][0] for found in tried if [what for _, what in found] == ["is required"]]
    if len(required) == len(tried) > 1:
        names = [name.rpartition(".")[2] for name in required]
        return [(at or "payload", f"must have {', '.join(names[:-1])} or {names[-1]}")]
    # The closest variant: preferably one whose type matches.
    return min(tried, key=lambda found: (_other_kind(found[0], at), len(found)))


def _other_kind(problem: Problem, at: str) -> bool:
    place, what = problem
    return place == (at or "payload") and what.startswith(("must be a ", "must be an "))


def _bounds(size: int, schema: dict[str, Any], at: str, what: str, unit: str) -> Iterator[Problem]:
    least, most = _number(schema.get(f"min{what}")), _number(schema.get(f"max{what}"))
    if (least is not None and size < least) or (most is not None and size > most):
        yield at or "payload", f"must be {_limits(least, most)} {unit}"


def _range(value: float, schema: dict[str, Any], at: str) -> Iterator[Problem]:
    least, most = _number(schema.get("minimum")), _number(schema.get("maximum"))
    if (least is not None and value < least) or (most is not None and value > most):
        yield at or "payload", f"must be {_limits(least, most)}"
    above, below = _number(schema.get("exclusiveMinimum")), _number(schema.get("exclusiveMaximum"))
    if above is not None and value <= above:
        yield at or "payload", f"must be more than {above}"
    if below is not None and value >= below:
        yield at or "payload", f"must be less than {below}"


def _limits(least: float | None, most: float | None) -> str:
    return " and ".join(
        [f"at least {least}"] * (least is not None) + [f"at most {most}"] * (most is not None)
    )


def _is(data: Any, kind: Any) -> bool:
    """Whether a value has this JSON type; an unknown type matches everything."""
    if not isinstance(kind, str) or kind not in _KINDS:
        return True
    if isinstance(data, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(data, float):
        return math.isfinite(data) and data == int(data)
    return isinstance(data, _KINDS[kind])


def _reads_as(data: Any, kind: str, schema: dict[str, Any]) -> bool:
    """Whether the worker's model may convert a value to this type, as pydantic does unless strict.

    It converts text to numbers and booleans, these to each other, and numbers to dates and times.
    """
    if kind == "boolean":
        return isinstance(data, str | int | float) and str(data).strip().lower() in _TRUTHS
    if kind == "string":
        return "format" in schema and isinstance(data, int | float)
    if kind not in ("integer", "number"):
        return False
    if isinstance(data, bool):
        return True
    if not isinstance(data, str):
        return False
    try:
        float(data)
    except ValueError:
        return False
    return True


_TRUTHS = frozenset(
    ["0", "1", "0.0", "1.0", "t", "f", "true", "false", "y", "n", "yes", "no", "on", "off"]
)


def _article(kind: str) -> str:
    return kind if kind == "null" else f"{'an' if kind[0] in 'aoi' else 'a'} {kind}"


def _shown(value: Any) -> str:
    return str(value)[:200]


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _at(place: str, name: object) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in str(name)[:60])
    return f"{place}.{shown}" if place else shown


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", lambda found: "_" + found[1].lower(), name)
