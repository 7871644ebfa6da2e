"""Render the application's named templates; text in a payload is never rendered.

The files of template ``welcome`` are ``welcome.html.j2``, ``welcome.txt.j2`` or both. The
mail's subject is the block ``subject`` (of the text file, if both have one).
Files that begin with ``_`` are for other templates to extend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hsejobs.errors import InvalidPayload
from hsejobs.extras import importing
from hsejobs.services.mail.text import check_body, check_line, unescape_html

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_NAME = re.compile(r"[a-z0-9-]+")
_SUFFIXES = (".html.j2", ".txt.j2")


_folder: Path | None = None


def use_templates(folder: Path | None) -> None:
    """Set the folder of this process's named templates; without it there are none."""
    global _folder
    _folder = folder
    for known in (template_variables, _parts, _environment):
        known.cache_clear()


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered template; None for a part that the template does not have."""

    subject: str | None
    html: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Variables:
    """A template's required and optional variables, and those used in its subject."""

    needed: tuple[str, ...]
    possible: tuple[str, ...]
    subject: frozenset[str]


def template_names() -> tuple[str, ...]:
    """Return the names of all templates, sorted."""
    return tuple(sorted({name for name, _ in _parts()}))


def check_template(name: str) -> str:
    """Return ``name`` if there is such a template.

    Raises `InvalidPayload` for ``template``, which lists the known names.
    """
    if not _NAME.fullmatch(name) or name not in template_names():
        known = ", ".join(template_names()) or "none"
        raise InvalidPayload("template", f"must be one of: {known}")
    return name


@cache
def template_variables() -> dict[str, Variables]:
    """Return the variables of each template by its name."""
    with importing():
        from jinja2 import meta, nodes

    found = {}
    for name in template_names():
        environment = _environment()
        known: set[str] = set()
        subject: set[str] = set()
        for suffix in _templates(name):
            source, *_ = environment.loader.get_source(environment, name + suffix)  # type: ignore[union-attr]
            tree = environment.parse(source)
            known |= meta.find_undeclared_variables(tree)
            for block in tree.find_all(nodes.Block):
                if block.name == "subject":
                    alone = nodes.Template(block.body, lineno=1)
                    alone.set_environment(environment)
                    subject |= meta.find_undeclared_variables(alone)
        needed = tuple(one for one in sorted(known) if not _renders(name, known - {one}))
        possible = tuple(sorted(known - set(needed)))
        found[name] = Variables(needed, possible, frozenset(subject))
    return found


def _renders(name: str, variables: set[str]) -> bool:
    try:
        render(name, dict.fromkeys(variables, "x"))
    except InvalidPayload:
        return False
    return True


def render(name: str, context: Mapping[str, object], *, subject: bool = True) -> Rendered:
    """Render the template ``name`` with ``context``; the subject only if ``subject`` is true.

    Raises `InvalidPayload` for ``template`` (unknown), for ``context.<name>``
    (a required variable is missing) and for ``context`` (a value that the
    template cannot use, or that would put a line break into the subject).
    """
    templates = _templates(check_template(name))
    return Rendered(
        subject=_subject(templates, context) if subject else None,
        html=_body(templates.get(".html.j2"), context),
        text=_body(templates.get(".txt.j2"), context),
    )


def _subject(templates: Mapping[str, Template], context: Mapping[str, object]) -> str | None:
    for suffix in (".txt.j2", ".html.j2"):
        template = templates.get(suffix)
        if template is None or "subject" not in template.blocks:
            continue
        with _Faults():
            block = template.blocks["subject"](template.new_context(dict(context)))
            line = "".join(block).strip()
        # A header is not HTML: undo the escaping of the HTML file.
        return check_line("context", unescape_html(line) if "html" in suffix else line)
    return None


def _body(template: Template | None, context: Mapping[str, object]) -> str | None:
    if template is None:
        return None
    with _Faults():
        body = template.render(dict(context))
    return check_body("context", body)


class _Faults:
    """Converts a template's exceptions to errors that name the variable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from jinja2 import TemplateError, UndefinedError

        if isinstance(error, UndefinedError):
            raise InvalidPayload(
                f"context.{error.message}", "is required by the template"
            ) from None
        if isinstance(error, TemplateError | TypeError | ValueError | ArithmeticError):
            problem = "has a value that the template cannot use"
            raise InvalidPayload("context", problem) from None


def _templates(name: str) -> dict[str, Template]:
    environment = _environment()
    return {
        suffix: environment.get_template(name + suffix) for part, suffix in _parts() if part == name
    }


@cache
def _parts() -> tuple[tuple[str, str], ...]:
    return tuple(
        (file.name.removesuffix(suffix), suffix)
        for file in (_folder.iterdir() if _folder else ())
        for suffix in _SUFFIXES
        if file.name.endswith(suffix) and _NAME.fullmatch(file.name.removesuffix(suffix))
    )


@cache
def _environment() -> Environment:
    with importing():
        from jinja2 import FunctionLoader, StrictUndefined
        from jinja2.sandbox import SandboxedEnvironment

    class Missing(StrictUndefined):
        """Puts only the variable's name, which the template's author chose, into the message."""

        @property
        def _undefined_message(self) -> str:
            return str(self._undefined_name)

    def source(file: str) -> str | None:
        path = _folder / file if _folder else None
        return path.read_text("utf-8") if path and path.is_file() else None

    return SandboxedEnvironment(
        loader=FunctionLoader(source),
        autoescape=lambda file: file is None or not file.endswith(".txt.j2"),
        undefined=Missing,
        finalize=lambda value: "" if value is None else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
