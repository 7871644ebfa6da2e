"""Payload models: what a task's annotation says of its payloads and their secrets; results as JSON."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

from hsejobs import codec
from hsejobs.described import for_forms
from hsejobs.errors import InvalidPayload, Unrecoverable
from hsejobs.masking import Secret
from hsejobs.model import RESULT_LIMIT

#: A result may hold the payload that it is of, some levels further in.
RESULT_DEEPEST = codec.DEEPEST + 50


def payload_model(function: Callable[..., Any]) -> Any:
    """The pydantic model that annotates the function's first parameter, or None."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].annotation is inspect.Parameter.empty:
        return None
    hints = typing.get_type_hints(function)
    model = hints.get(parameters[0].name)
    return model if hasattr(model, "model_validate") else None


def validate(model: Any, payload: Any) -> tuple[Any, Any]:
    """The model's instance and what is stored of it: plain JSON data under the aliases.

    Raises InvalidPayload, which names each field and repeats no value.
    """
    from pydantic import ValidationError

    try:
        instance = model.model_validate(payload)
    except ValidationError as error:
        raise invalid_payload(error) from None
    try:
        return instance, instance.model_dump(mode="json", by_alias=True, exclude_unset=True)
    except UnicodeEncodeError:
        problem = "has half a character (a lone surrogate) in a text, which UTF-8 cannot hold"
        raise InvalidPayload("payload", problem) from None


def invalid_payload(error: Any) -> InvalidPayload:
    """A pydantic ValidationError as an InvalidPayload without any input in it."""
    problems = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:20]:
        place = ".".join(str(part)[:60] for part in item["loc"]) or "payload"
        # pydantic says whose words they are when a validator of ours speaks.
        problems.append((_plain(place), _plain(item["msg"].removeprefix("Value error, "))))
    return InvalidPayload(*problems[0], *problems[1:])


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


def encode_result(data: Any) -> bytes:
    """A result as it is stored. Raises Unrecoverable for what JSON cannot hold or is too large."""
    try:
        text = codec.dumps(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unrecoverable(f"the result is no JSON: {type(error).__name__}") from None
    if codec.deeper(data, text, RESULT_DEEPEST):
        raise Unrecoverable(f"the result is nested more than {RESULT_DEEPEST} deep")
    if len(text) > RESULT_LIMIT:
        raise Unrecoverable(
            f"the result has {len(text):,} bytes, {RESULT_LIMIT:,} are kept: store an artifact"
        )
    return text


def json_schema(model: Any) -> dict[str, Any] | None:
    """The model's JSON Schema under the aliases, None without a model."""
    if model is None:
        return None
    schema: dict[str, Any] = for_forms(model.model_json_schema(by_alias=True))
    return schema


def secret_paths(model: Any, before: tuple[str, ...] = (), depth: int = 0) -> list[str]:
    """Dotted paths of the fields marked ``Secret``, in models inside models too.

    Where a field's alias differs from its name both are there: what is added without the code at
    hand is stored as it was spelled.
    """
    if model is None or depth > 5:
        return []
    found = []
    for name, info in model.model_fields.items():
        marked = any(_is_secret(mark) for mark in info.metadata) or _marked(info.annotation)
        for spelled in dict.fromkeys((info.alias or name, name)):
            here = (*before, spelled)
            if marked:
                found.append(".".join(here))
            for inner in _models_in(info.annotation):
                found.extend(secret_paths(inner, here, depth + 1))
    return found


def _is_secret(mark: Any) -> bool:
    return isinstance(mark, Secret) or mark is Secret


def _marked(annotation: Any) -> bool:
    """Whether a part of the annotation (``Annotated[str, Secret()] | None``) is marked."""
    marks = getattr(annotation, "__metadata__", ())
    return any(map(_is_secret, marks)) or any(map(_marked, typing.get_args(annotation)))


def _models_in(annotation: Any) -> list[Any]:
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]
