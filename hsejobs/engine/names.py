"""Where the code of a task is: its module, also if it runs as a script, and its file."""

from __future__ import annotations

import contextlib
import inspect
import keyword
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

#: What Python calls the program's main module, and that module in a process that it spawned.
SCRIPTS = frozenset({"__main__", "__mp_main__"})


class ModuleName(NamedTuple):
    """A module's name; ``problem`` says why consumers cannot import it, '' if they can."""

    name: str
    problem: str = ""


def importable(function: Callable[..., Any]) -> ModuleName:
    """The name under which a consumer imports the module of this function."""
    module = function.__module__
    if module not in SCRIPTS:
        return ModuleName(module)
    script = _script_of(function)
    spec = script.get("__spec__")
    if spec is not None and spec.name not in SCRIPTS:
        return ModuleName(spec.name)  # python -m package.module
    file = script.get("__file__")
    if not file:
        return ModuleName(module, "it was not read from a file")
    path = Path(file).absolute()
    parts, folder = [path.stem], path.parent
    # A script inside a package is imported as a part of the package.
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if path.suffix != ".py":
        return ModuleName(module, f"the name of its file, {path.name}, does not end in .py")
    for part in parts:
        if not part.isidentifier() or keyword.iskeyword(part):
            return ModuleName(module, f"{part!r} is not a name that `import` takes")
    if parts[-1] in SCRIPTS:
        return ModuleName(
            module, f"it is {path.name} of a folder or an archive, {path.parent.name}"
        )
    return ModuleName(".".join(parts))


def _script_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The names of the script that defines this function.

    Under a profiler or tracer, ``sys.modules`` has that program as the main module.
    """
    names: Mapping[str, Any] = getattr(inspect.unwrap(function), "__globals__", {})
    if names.get("__name__") in SCRIPTS:
        return names
    return vars(sys.modules[function.__module__])


def newest_source_ms(functions: Iterable[Callable[..., Any]]) -> int:
    """When the newest file with one of these was written, in ms since the epoch; 0 if unknown."""
    newest = 0
    for function in functions:
        code = getattr(inspect.unwrap(function), "__code__", None)
        with contextlib.suppress(OSError, ValueError):
            newest = max(newest, os.stat(code.co_filename).st_mtime_ns if code else 0)
    return newest // 1_000_000
