"""Payload models: validation, JSON Schema and secrets from a task's annotation; results as JSON."""

from __future__ import annotations

import copy
import inspect
import typing
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from hsejobs import codec
from hsejobs.described import for_forms
from hsejobs.errors import InvalidPayload, JobsError, Unrecoverable
from hsejobs.masking import Secret
from hsejobs.model import RESULT_LIMIT

if TYPE_CHECKING:
    from pydantic import ValidationError

#: Results may be nested deeper than payloads, because a result may contain its job's payload.
RESULT_DEEPEST = codec.DEEPEST + 50

#: Turns the payload of an older release into today's.
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
#: Parts of a pydantic core schema that hold values of the model's author, not schemas.
_VALUES = frozenset({"default", "expected", "metadata"})


@cache
def _validation_error() -> type[ValidationError]:
    # Imported here because not every program has models, and once, because an import takes a while.
    from pydantic import ValidationError

    return ValidationError


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
    read = model.__pydantic_validator__.validate_python if _usual(model) else model.model_validate
    try:
        instance = read(payload)
    except _validation_error() as error:
        raise invalid_payload(error) from None
    return instance, stored(instance)


def stored(instance: Any) -> Any:
    """The stored form of a model's instance. Raises InvalidPayload for text that UTF-8 cannot hold."""
    kind: Any = type(instance)
    write = kind.__pydantic_serializer__.to_python if _usual(kind) else kind.model_dump
    try:
        return write(instance, mode="json", by_alias=True, exclude_unset=True)
    except UnicodeEncodeError:
        problem = "must not contain a lone surrogate, which UTF-8 cannot represent"
        raise InvalidPayload("payload", problem) from None


@lru_cache(maxsize=256)
def _usual(model: Any) -> bool:
    """Whether a class reads and writes as pydantic's models do, so that its core can be asked directly: the
    methods around it take a fifth of the time.
    """
    from pydantic import BaseModel

    usual: Any = BaseModel.model_validate
    reads = getattr(model.model_validate, "__func__", None) is usual.__func__
    return reads and model.model_dump is BaseModel.model_dump


def read(model: Any, payload: Any, upgrades: tuple[Upgrade, ...] = ()) -> Any:
    """The model's instance for a stored payload, which another release may have written.

    Fields that the model does not know are left out, at every depth; a model that allows them gets
    them. A payload that is still not valid goes through ``upgrades``. Raises InvalidPayload.
    """
    try:
        return model.model_validate(payload)
    except _validation_error():
        tolerant = _tolerant(model)
    try:
        return tolerant.validate_python(payload)
    except _validation_error() as error:
        problem = invalid_payload(error)
    for start in reversed(range(len(upgrades))):
        try:
            return tolerant.validate_python(_upgraded(payload, upgrades[start:]))
        except _validation_error() as error:
            names = " and ".join(_name_of(one) for one in upgrades[start:])
            what = f"cannot be read, even after the upgrade {names}"
            problem = InvalidPayload("payload", what, *invalid_payload(error).problems)
        except InvalidPayload as error:
            problem = error
    raise problem


def _upgraded(payload: Any, upgrades: tuple[Upgrade, ...]) -> Any:
    """The payload after these upgrades. Raises InvalidPayload, which names the one that failed."""
    # A copy for each attempt: a function may change what it gets.
    data: Any = copy.deepcopy(payload)
    for function in upgrades:
        try:
            data = function(data)
        except Exception as error:
            # The text of another library's error may quote the payload.
            reason = str(error) if isinstance(error, JobsError) else type(error).__name__
            problem = f"the upgrade {_name_of(function)} failed: {reason}"
            raise InvalidPayload("payload", problem) from error
        if not isinstance(data, dict):
            problem = f"the upgrade {_name_of(function)} must return a dict"
            raise InvalidPayload("payload", problem)
    return data


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


@lru_cache(maxsize=256)
def _tolerant(model: Any) -> Any:
    """A validator like the model's own, except that it ignores the unknown fields that models forbid."""
    from pydantic_core import SchemaValidator

    model.model_rebuild()
    schema = _ignoring(model.__pydantic_core_schema__)
    try:
        # Otherwise models inside this one would be checked by their own validators.
        return SchemaValidator(schema, _use_prebuilt=False)
    except TypeError:  # an older pydantic, which does not reuse them
        return SchemaValidator(schema)


def _ignoring(schema: Any) -> Any:
    """A copy of a pydantic core schema in which no part forbids unknown fields."""
    if isinstance(schema, dict):
        found = {
            name: part if name in _VALUES else _ignoring(part) for name, part in schema.items()
        }
        for name in ("extra_behavior", "extra_fields_behavior"):
            if found.get(name) == "forbid":
                found[name] = "ignore"
        return found
    if isinstance(schema, list | tuple):
        return type(schema)(map(_ignoring, schema))
    return schema


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
