"""The two JSON Schemas of a payload model: one for forms, one for HTTP callers.

Both are made from the same fields:

- The *registry's* schema, which the TUI's forms check: the model rejects everything that this
  schema rejects. Where JSON Schema cannot express a rule, the schema is wider than the model.
- The *OpenAPI document's* schema: the model accepts everything that this schema accepts. Where
  JSON Schema cannot express a rule, the schema is narrower than the model. It has no ``default``,
  because client generators treat a field with a default as required.

A field whose two schemas differ is annotated with `Described`. A model whose fields depend on
each other has a static method ``openapi_rules(settings)``, which returns what the document adds to
the model's root: ``anyOf``, ``properties``, ``$defs``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]
#: Key in a model's raw schema whose value replaces the schema around it in the document.
_MARK = "x-openapi"
#: Annotation keywords, which the document keeps when it replaces the schema around them.
_NOTES = ("description", "examples", "writeOnly")


class Described:
    """Gives a field its own schemas: ``Annotated[str, Described({...}, pattern=...)]``.

    ``document`` is the document's schema, or a function that derives it from the annotated type's
    schema. ``forms`` are keywords to add to the registry's schema; None removes a keyword.
    """

    def __init__(self, document: Schema | Callable[[Schema], Schema], **forms: Any) -> None:
        self.document, self.forms = document, forms

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], Schema]) -> Schema:
        found = handler(schema)
        document = self.document(found) if callable(self.document) else self.document
        shown = {**found, **self.forms, _MARK: document}
        return {name: value for name, value in shown.items() if value is not None}


def for_forms(raw: Any) -> Any:
    """The registry's schema, from the raw one."""
    if isinstance(raw, dict):
        return {name: for_forms(value) for name, value in raw.items() if name != _MARK}
    return [for_forms(one) for one in raw] if isinstance(raw, list) else raw


def for_document(raw: Any) -> Any:
    """The OpenAPI document's schema, from the raw one."""
    if isinstance(raw, list):
        return [for_document(one) for one in raw]
    if not isinstance(raw, dict):
        return raw
    if _MARK in raw:
        notes = {name: raw[name] for name in _NOTES if name in raw}
        return {**for_document(raw[_MARK]), **notes}
    found = {}
    for name, value in raw.items():
        if name == "properties":
            # Fields may be called `title` or `default`.
            found[name] = {field: for_document(one) for field, one in value.items()}
        elif name not in ("default", "title"):
            found[name] = for_document(value)
    return found


def document_schema(model: Any, settings: Any) -> Schema:
    """The model's schema as the document shows it, ``$defs`` included."""
    found: Schema = for_document(model.model_json_schema(by_alias=True))
    rules: Callable[[Any], Schema] | None = getattr(model, "openapi_rules", None)
    if rules is None:
        return found
    added = rules(settings)
    if choices := added.pop("anyOf", None):
        # TypeScript generators then read "these fields, and one of the choices", rather than
        # "one of several complete objects".
        found.pop("anyOf", None)
        found["allOf"] = [{"anyOf": choices}]
    for name, value in added.items():
        found[name] = {**found.get(name, {}), **value}
    return found
