"""A short form of ``benchmarks/rolling.py``: rolling deploys of this library, and of an application on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import rolling

ROOT = Path(__file__).parents[2]


def test_rolling_deploys_of_an_application(short_tmp: Path) -> None:
    found = rolling.run_part("application", short_tmp, ROOT, restarts=3, rate=100)
    assert rolling.is_good(found), found
    assert found["sent_back"], "no consumer met a job that it could not run"


def test_rolling_deploys_beside_the_last_release(short_tmp: Path) -> None:
    try:
        _, older = rolling.peer(short_tmp)
    except rolling.NoPeer as error:
        # Not a failure in CI either: the machine that runs .ci/run may have got the tree without its history.
        pytest.skip(f"only the deploy of an application was run: {error}")
    found = rolling.run_part("library", short_tmp, older, restarts=3, rate=100)
    assert rolling.is_good(found), found


def test_ci_fetches_the_last_release() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    checkout = workflow.partition("uses: actions/checkout")[2].partition("- ")[0]
    assert "fetch-depth: 0" in checkout, (
        "without tags and history there is no release to run beside"
    )
