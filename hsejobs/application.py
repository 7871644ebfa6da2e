"""The application: the module whose queues ``hsejobs up`` and ``hsejobs worker`` run.

It is any module that has instances of `JobHuey`; ``docs/application.md`` describes what else it
may define. ``QUEUE_APP`` names it; without that it is ``huey_config`` in the working folder.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from hsejobs.errors import JobsError, SettingsError
from hsejobs.garbage import not_sought

if TYPE_CHECKING:
    from hsejobs.engine.huey import JobHuey
    from hsejobs.settings import Settings

#: The module to look for in the working folder when none is named.
DEFAULT = "huey_config"
VARIABLE = "QUEUE_APP"
#: The methods of `tenant_rows`.
ROWS = ("count", "rows", "erase", "left_alone")
#: Maximum number of characters shown of another library's error message.
SHOWN = 200


@dataclass(frozen=True)
class Application:
    """A loaded application.

    ``queues`` maps queue names to queues, in the order of the module. ``places`` maps queue names
    to the dotted path that ``huey_consumer`` needs, such as ``huey_config.data_exports``.
    """

    name: str
    queues: Mapping[str, JobHuey] = field(default_factory=lambda: MappingProxyType({}))
    places: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    module: ModuleType | None = None

    def hook(self, name: str) -> Any | None:
        """The object that the module defines under this optional name, or None."""
        return getattr(self.module, name, None)

    @contextlib.contextmanager
    def calling(self, name: str) -> Iterator[None]:
        """Turns what the application's hook raises in the block into a SettingsError that names it."""
        try:
            yield
        except JobsError:
            raise
        except Exception as error:
            raise SettingsError(VARIABLE, f"{self.name}.{name} failed: {_reason(error)}") from None


#: Stands for "no application": no queues, no hooks.
NONE = Application("")


def find(settings: Settings) -> Application:
    """Loads the application; returns `NONE` when none is named and the working folder has none.

    Puts the working folder first on ``sys.path`` if there is an application, as ``huey_consumer``
    does. Raises SettingsError when the module is missing or cannot be imported; its message names
    the failing line.
    """
    name = settings.app or _default()
    if name is None:
        return NONE
    module = load(name)
    return _inspect(name, module)


def need(settings: Settings) -> Application:
    """Loads the application. Raises SettingsError when there is none, or when it has no queues."""
    found = find(settings)
    if found is NONE:
        raise SettingsError(
            VARIABLE,
            f"no application found: the working folder has no {DEFAULT}.py; run the command in the"
            " folder that has it, or name the module that defines your queues with --app",
        )
    if not found.queues:
        raise SettingsError(
            VARIABLE, f"the module {found.name} defines no queues (JobHuey objects)"
        )
    return found


def load(name: str) -> ModuleType:
    """Imports the module. Raises SettingsError for whatever the import raises."""
    _add_working_folder()
    try:
        with not_sought():
            return importlib.import_module(name)
    except JobsError as error:
        text = f"{name} cannot be imported: {error} ({_place(error)})"
        raise SettingsError(VARIABLE, text) from None
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and _missing(error, name):
            raise SettingsError(
                VARIABLE,
                f"there is no module {name} in the working folder or on Python's path{_hint(name)}",
            ) from None
        raise SettingsError(VARIABLE, f"{name} cannot be imported: {_reason(error)}") from None


def _default() -> str | None:
    """``huey_config`` if the working folder has it; a module elsewhere on the path is ignored.

    Without an application the working folder stays off ``sys.path``: a command that only looks may
    run in any folder, whatever the names of the Python files there.
    """
    found = importlib.machinery.PathFinder.find_spec(DEFAULT, [_working_folder()])
    return None if found is None or found.loader is None else DEFAULT


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        # The folder was removed.
        return os.sep


def _add_working_folder() -> None:
    folder = _working_folder()
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _hint(name: str) -> str:
    """What was meant by ``shop.py``, or by ``shop.orders`` as ``huey_consumer`` takes it."""
    module, _, last = name.rpartition(".")
    found = sys.modules.get(module)
    if last == "py" or hasattr(found, last):
        return f"; name the module only: {module}"
    return ""


def _missing(error: ModuleNotFoundError, name: str) -> bool:
    """Whether the missing module is *name* itself or one of its parent packages."""
    return error.name is not None and (name == error.name or name.startswith(f"{error.name}."))


def _reason(error: BaseException) -> str:
    """What the import raised and where, as one line of text."""
    from hsejobs.extras import missing_extra_message

    hint = missing_extra_message(error) if isinstance(error, ModuleNotFoundError) else None
    # The text of a SyntaxError also has the place.
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    text = hint or " ".join(message.split())[:SHOWN]
    kind = "" if hint else f"{type(error).__name__}: "
    return f"{kind}{text} ({_place(error)})"


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    files = []
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        # Frames of the import system, and of this module, do not help the reader.
        if not file.startswith("<frozen") and file != __file__ and "importlib" not in file:
            files.append((file, trace.tb_lineno))
        trace = trace.tb_next
    if not files:
        return "while it is imported"
    # The application's last line, rather than the line of a library that raised the error.
    others = (
        str(Path(__file__).parent),
        *map(sysconfig.get_path, ("stdlib", "purelib", "platlib")),
    )
    own = [one for one in files if not one[0].startswith(others)]
    file, line = (own or files)[-1]
    return f"{Path(file).name}:{line}"


def _inspect(name: str, module: ModuleType) -> Application:
    from hsejobs.engine.huey import JobHuey

    queues: dict[str, JobHuey] = {}
    places: dict[str, str] = {}
    for attribute, value in list(vars(module).items()):
        if not isinstance(value, JobHuey):
            continue
        known = queues.setdefault(value.name, value)
        if known is not value:
            raise SettingsError(VARIABLE, f"{name} has two queues called {value.name}")
        places.setdefault(value.name, f"{name}.{attribute}")
    _check_hooks(name, module)
    return Application(name, MappingProxyType(queues), MappingProxyType(places), module)


def _check_hooks(name: str, module: ModuleType) -> None:
    """Raises SettingsError for an optional name of the module that is something else than documented."""
    for hook in ("add_commands", "doctor_checks"):
        if not callable(getattr(module, hook, print)):
            raise SettingsError(VARIABLE, f"{name}.{hook} must be a function")
    examples = getattr(module, "examples", {})
    known = isinstance(examples, Mapping)
    if not known or not all(isinstance(one, Mapping) for one in examples.values()):
        raise SettingsError(VARIABLE, f"{name}.examples must map queue names to example jobs")
    rows = getattr(module, "tenant_rows", None)
    missing = [one for one in ROWS if not callable(getattr(rows, one, None))]
    if rows is not None and missing:
        raise SettingsError(VARIABLE, f"{name}.tenant_rows has no method {missing[0]}")
