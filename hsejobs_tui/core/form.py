"""The form of a new job: a field for each part of its task's schema, and for each option of the add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hsejobs import codec
from hsejobs.control import options, schema
from hsejobs.control.durations import parse_duration
from hsejobs.control.options import AddOptions
from hsejobs.errors import InvalidOption, InvalidPayload
from hsejobs.model import PRIORITIES
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs_tui.core.text import duration, whole_number

#: How deep objects in the payload have fields of their own; deeper ones are written as JSON.
DEPTH = 2
_NUMBERS = {"integer": "an integer", "number": "a number"}
_TRUTHS = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the form. ``kind``: text, integer, number, boolean, choice or json.

    ``path``: its place in the payload; '' for an option of the add. ``hint``: what it may be.
    """

    name: str
    kind: str
    path: tuple[str, ...] = ()
    required: bool = False
    choices: tuple[str, ...] = ()
    #: The choices as they are in the schema.
    raws: tuple[Any, ...] = ()
    start: str = ""
    hint: str = ""
    secret: bool = False


def fields_of(task: TaskInfo) -> list[Field]:
    """The fields of a task's payload: required ones first, in the order of the schema."""
    root = task.schema or {}
    found = list(_fields(root, root, (), DEPTH, set(task.secret), required=True))
    return sorted(found, key=lambda one: not one.required)


def options_of(info: QueueInfo, task: TaskInfo) -> list[Field]:
    """The fields of the options of an add, with the task's defaults as hints."""

    def default(name: str) -> int:
        return info.effective_option(task, name)

    priorities = tuple(str(one) for one in PRIORITIES)
    timeout = default("timeout")
    return [
        Field(
            "priority", "choice", choices=priorities, hint=f"1 first, 5 last; {default('priority')}"
        ),
        Field("delay", "text", hint="such as 90s, 5m or 2h; none"),
        Field("attempts", "integer", hint=f"in all; {default('attempts')}"),
        Field("backoff", "text", hint=f"before attempt 2; {duration(default('backoff'))}"),
        Field("timeout", "text", hint=f"of an attempt; {duration(timeout) if timeout else 'none'}"),
    ]


def payload_of(fields: Sequence[Field], values: Mapping[str, str]) -> dict[str, Any]:
    """The payload of what was written; empty fields that are not required are left out."""
    payload: dict[str, Any] = {}
    for one in fields:
        text = values.get(one.name, "")
        if not text.strip() and not one.required:
            continue
        here = payload
        for step in one.path[:-1]:
            here = here.setdefault(step, {})
        here[one.path[-1]] = _value(one, text)
    return payload


def check_lines(fields: Sequence[Field], values: Mapping[str, str]) -> None:
    """Raises InvalidPayload for the first line that the schema lets pass although no one can mean it.

    That is an empty one of a required field, where the schema only names its type; and a text in place of a
    number, which the schema leaves to the worker's model to convert.
    """
    for one in fields:
        text = values.get(one.name, "")
        if one.required and not text.strip():
            raise InvalidPayload(one.name, "is required; the editor (Ctrl+E) takes an empty text")
        if one.kind in _NUMBERS and text.strip() and isinstance(_value(one, text), str):
            raise InvalidPayload(one.name, f"must be {_NUMBERS[one.kind]}")


def values_of(fields: Sequence[Field], payload: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the fields for a payload."""
    found = {}
    for one in fields:
        here: Any = payload
        for step in one.path:
            here = here.get(step) if isinstance(here, dict) else None
        if here is not None:
            found[one.name] = here if isinstance(here, str) else codec.dumps(here).decode()
    return found


def add_options(values: Mapping[str, str]) -> AddOptions:
    """The options of the add; empty ones are the task's defaults. Raises InvalidOption."""
    given = {name: text.strip() for name, text in values.items() if text.strip()}

    def number(name: str) -> int | None:
        found = whole_number(given.get(name, ""))
        if name in given and found is None:
            raise InvalidOption(name, "must be a whole number of at most nine digits")
        return found

    def ms(name: str) -> int | None:
        return parse_duration(given[name], name) if name in given else None

    priority, attempts, timeout = number("priority"), number("attempts"), ms("timeout")
    delay, backoff = ms("delay"), ms("backoff")
    return AddOptions(
        None if priority is None else options.check_priority(priority),
        None if attempts is None else options.check_attempts(attempts),
        None if backoff is None else options.whole_milliseconds("backoff", backoff),
        None if timeout is None else options.whole_milliseconds("timeout", timeout, zero=False),
        options.whole_milliseconds("delay", delay or 0),
    )


def _fields(
    root: dict[str, Any],
    part: dict[str, Any],
    path: tuple[str, ...],
    depth: int,
    secret: set[str],
    *,
    required: bool,
) -> Iterator[Field]:
    wanted = part.get("required")
    names = wanted if isinstance(wanted, list) else []
    fields = part.get("properties")
    for name, raw in (fields if isinstance(fields, dict) else {}).items():
        inner = _plain(root, raw)
        here = (*path, str(name))
        must = required and name in names
        own = inner.get("properties")
        if isinstance(own, dict) and own and depth > 1:
            yield from _fields(root, inner, here, depth - 1, secret, required=must)
        else:
            yield _field(root, inner, raw, here, must, ".".join(here) in secret)


def _plain(root: dict[str, Any], part: Any) -> dict[str, Any]:
    """The part of the schema that says what a value is: of references and of ``x or null``, the first."""
    for _ in range(8):
        if not isinstance(part, dict):
            return {}
        if "$ref" in part:
            part = schema.resolve(root, part["$ref"])
            continue
        found = part.get("anyOf") or part.get("oneOf") or part.get("allOf")
        if "type" in part or not isinstance(found, list) or not found:
            return part
        known = [one for one in found if isinstance(one, dict) and one.get("type") != "null"]
        part = {**part, **(known or [{}])[0]}
        for name in ("anyOf", "oneOf", "allOf"):
            part.pop(name, None)
    return part if isinstance(part, dict) else {}


def _field(
    root: dict[str, Any],
    part: dict[str, Any],
    raw: Any,
    path: tuple[str, ...],
    required: bool,
    secret: bool,
) -> Field:
    kinds = part.get("type")
    kind = next((one for one in kinds if one != "null"), "") if isinstance(kinds, list) else kinds
    raws: tuple[Any, ...] = ()
    if isinstance(part.get("enum"), list):
        raws = tuple(part["enum"])
    elif "const" in part:
        raws = (part["const"],)
    choices = ("yes", "no") if kind == "boolean" else tuple(str(one) for one in raws)
    shown = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "text"}
    form = "choice" if choices and kind != "boolean" else shown.get(str(kind), "json")
    about = {**(raw if isinstance(raw, dict) else {}), **part}
    start = ""
    if required:
        sample = schema.sample({**root, "properties": {"x": raw}, "required": ["x"]}).get("x")
        start = sample if isinstance(sample, str) else codec.dumps(sample).decode()
        if kind == "boolean":
            start = "yes" if sample else "no"
    hint = _hint(form, about, choices)
    return Field(".".join(path), form, path, required, choices, raws, start, hint, secret)


def _hint(form: str, part: Mapping[str, Any], choices: Sequence[str]) -> str:
    """What the field may be, its limits, default and description."""
    words = []
    if choices:
        words.append(f"one of {', '.join(choices[:12])}{' ...' if len(choices) > 12 else ''}")
    elif form == "json":
        words.append("JSON, such as a list" if part.get("type") == "array" else "JSON")
    else:
        words.append(str(part.get("format") or form))
    for low, high, unit in (
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minimum", "maximum", ""),
    ):
        least, most = part.get(low), part.get(high)
        if least is not None and most is not None:
            words.append(f"{least} to {most}{unit}")
        elif least is not None or most is not None:
            words.append(f"at least {least}{unit}" if most is None else f"at most {most}{unit}")
    if "default" in part and part["default"] not in (None, "", [], {}):
        words.append(f"default {part['default']}")
    if part.get("description"):
        words.append(str(part["description"]))
    return "; ".join(words)


def _value(one: Field, text: str) -> Any:
    """The value of a field's text; what is not of its kind stays text, which the schema then refuses."""
    word = text.strip()
    if one.kind == "boolean":
        return _TRUTHS.get(word.lower(), word)
    if one.kind in _NUMBERS:
        try:
            return int(word) if one.kind == "integer" else float(word)
        except ValueError:
            return word
    if one.kind == "json" or (one.kind == "text" and word[:1] in ("[", "{")):
        try:
            return codec.strict(codec.whole(word).encode())
        except InvalidPayload:
            return text
    if one.kind == "choice":
        return next((raw for raw in one.raws if str(raw) == word), word)
    return text
