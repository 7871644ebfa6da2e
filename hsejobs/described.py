"""How payload fields describe themselves: once for forms, once for callers over HTTP.

A payload model has two JSON Schemas, made from the same fields:

- the *registry's*, which the TUI's forms check: what it refuses, the model refuses too. It is
  wide where JSON Schema cannot say the rule.
- the *OpenAPI document's*: what it describes is accepted. It is narrow there, and has no
  ``default``: generators of clients take a field with a default for a required one.

A field whose two schemas differ is annotated with `Described`; a model whose fields depend on
each other has a static method ``openapi_rules(settings)`` that returns what the document adds to
its root: ``anyOf``, ``properties``, ``$defs``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]
#: Holds, inside a model's raw schema, what the document says in place of the schema around it.
_MARK = "x-openapi"
#: Keywords that annotate: they stay when the document replaces what is around them.
_NOTES = ("description", "examples", "writeOnly")


class Described:
    """``Annotated[str, Described({...}, pattern=...)]``: what the document says instead.

    ``document``: a schema, or what makes it of the one that the annotated type has by itself.
    ``forms``: what the registry's schema says beside what the annotated type says by itself; None
    takes a keyword out.
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
        # As generators of TypeScript read it: the fields, and one of these; not one of all of them.
        found.pop("anyOf", None)
        found["allOf"] = [{"anyOf": choices}]
    for name, value in added.items():
        found[name] = {**found.get(name, {}), **value}
    return found
