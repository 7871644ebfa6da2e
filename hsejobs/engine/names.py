"""The name of the module that defines a task, also if it runs as a script."""

from __future__ import annotations

import keyword
import sys
from pathlib import Path
from typing import NamedTuple

#: What Python calls the program's main module, and that module in a process that it spawned.
SCRIPTS = frozenset({"__main__", "__mp_main__"})


class ModuleName(NamedTuple):
    """A module's name; ``problem`` says why consumers cannot import it, '' if they can."""

    name: str
    problem: str = ""


def importable(module: str) -> ModuleName:
    """The name under which a consumer imports this module."""
    if module not in SCRIPTS:
        return ModuleName(module)
    found = sys.modules.get(module)
    spec = getattr(found, "__spec__", None)
    if spec is not None and spec.name not in SCRIPTS:
        return ModuleName(spec.name)  # python -m package.module
    file = getattr(found, "__file__", None)
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
    return ModuleName(".".join(parts))
