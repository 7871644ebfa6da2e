"""The quick lane (``make test-fast``): fast tests, selected by rules instead of a list of names.

It contains the tests of the folders in ``QUICK`` (the library's core: unit tests, the store, the
engine), except slow ones. A test is slow when

- a fixture of it starts a program or a set of servers (``STARTS``), or drives the TUI (``DRIVES``);
- its module starts programs itself, or waits for them (``WORDS`` in its source);
- it is marked ``slow``, or allowed more than the usual time by ``timeout``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
QUICK = (TESTS, TESTS / "store", TESTS / "engine")
#: Fixtures that start a consumer, a shim, or servers in addition to the one of each process.
STARTS = frozenset(
    {
        "cluster",
        "consumer",
        "deployed",
        "mail_server",
        "new_postgres",
        "node",
        "platform_workers",
        "s3",
        "sentinels",
        "shim",
    }
)
DRIVES = frozenset({"stage"})
#: Text in the source of a module that starts programs.
WORDS = ("import subprocess", "tests.support.consumers", "tests.support.programs", "tests.cli.")


@cache
def starts_programs(module: Path) -> bool:
    """Whether the source of the module starts programs."""
    text = module.read_text()
    return any(word in text for word in WORDS)


def is_slow(item: pytest.Item) -> bool:
    """Whether a test is not in the quick lane."""
    names = set(getattr(item, "fixturenames", ()))
    return bool(
        item.path.parent not in QUICK
        or names & (STARTS | DRIVES)
        or starts_programs(item.path)
        or item.get_closest_marker("slow")
        or item.get_closest_marker("timeout")
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--fast``, which runs the quick lane only."""
    parser.addoption("--fast", action="store_true", help="run only fast tests")


def pytest_configure(config: pytest.Config) -> None:
    """Registers the ``slow`` marker."""
    config.addinivalue_line("markers", "slow: takes a second or more; not in `make test-fast`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects slow tests with ``--fast``."""
    if not config.getoption("--fast"):
        return
    slow = [item for item in items if is_slow(item)]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not is_slow(item)]
