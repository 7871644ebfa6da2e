"""Leaves what was collected out of the search for garbage, which takes a tenth of the suite's time."""

from __future__ import annotations

import gc

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Modules and tests stay until the end: only what a test makes can be garbage."""
    gc.collect()
    gc.freeze()
