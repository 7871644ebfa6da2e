"""Payload models: validation, JSON Schema and secrets from a task's annotation; results as JSON."""

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

#: Results may be nested deeper than payloads, because a result may contain its job's payload.
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
    """Returns the model's instance and its stored form: plain JSON data under the aliases.

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
        problem = "must not contain a lone surrogate, which UTF-8 cannot represent"
        raise InvalidPayload("payload", problem) from None


def invalid_payload(error: Any) -> InvalidPayload:
    """Converts a pydantic ValidationError to an InvalidPayload that repeats no input."""
    problems = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:20]:
        place = ".".join(str(part)[:60] for part in item["loc"]) or "payload"
        # pydantic adds this prefix to the messages of our own validators.
        problems.append((_plain(place), _plain(item["msg"].removeprefix("Value error, "))))
    return InvalidPayload(*problems[0], *problems[1:])


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


def encode_result(data: Any) -> bytes:
    """Encodes a result for storage. Raises Unrecoverable if JSON cannot hold it, or it is too large."""
    try:
        text = codec.dumps(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unrecoverable(f"the result is not valid JSON: {type(error).__name__}") from None
    if codec.exceeds_depth(data, text, RESULT_DEEPEST):
        raise Unrecoverable(f"the result must not be nested more than {RESULT_DEEPEST} levels deep")
    if len(text) > RESULT_LIMIT:
        raise Unrecoverable(
            f"the result has {len(text):,} bytes, the limit is {RESULT_LIMIT:,}: store an artifact"
        )
    return text


def json_schema(model: Any) -> dict[str, Any] | None:
    """The model's JSON Schema under the aliases; None without a model."""
    if model is None:
        return None
    schema: dict[str, Any] = for_forms(model.model_json_schema(by_alias=True))
    return schema


def secret_paths(model: Any, before: tuple[str, ...] = (), depth: int = 0) -> list[str]:
    """Dotted paths of the fields marked ``Secret``, nested models included.

    If a field has an alias, both spellings are included: programs without the model's code store
    payloads as the caller spelled them.
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
    """Whether any part of the annotation is marked, as in ``Annotated[str, Secret()] | None``."""
    marks = getattr(annotation, "__metadata__", ())
    return any(map(_is_secret, marks)) or any(map(_marked, typing.get_args(annotation)))


def _models_in(annotation: Any) -> list[Any]:
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models_in(part)]
