"""A short form of ``benchmarks/rolling.py``: rolling deploys of this library, and of an application on it."""

from __future__ import annotations

import pytest

from benchmarks import rolling


def test_rolling_deploys() -> None:
    try:
        found = rolling.run(restarts=3, rate=100)
    except rolling.NoPeer as error:
        pytest.skip(str(error))
    assert found["good"], found
    assert found["application"]["sent_back"], "no consumer met a job that it could not run"
