"""Code that reads a tenant's text needs linear time for any text."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from benchmarks.hostile import numbers, readers, shapes
from hsejobs.masking import MASK, scrub, scrub_data, secret_values, too_much


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=550, check=False
    )


@pytest.mark.timeout(600)
def test_every_reader_ends_with_every_shape() -> None:
    # With 100 KB, quadratic code takes 10 s to minutes, linear code less than 0.1 s. The limit applies
    # to the process's CPU time, so that a busy machine does not fail the test.
    done = run("-m", "benchmarks.hostile", "--limit", "0", "--guard", "3")
    assert done.returncode == 0, f"killed at: {done.stderr.strip().splitlines()[-1:]}"
    answer = json.loads(done.stdout)
    assert answer["readings"] == len(readers()) * len(shapes(1000)) + len(numbers(1000))
    assert set(answer["worst"]) == {*readers(), "JSON numbers"}
    assert len(shapes(1000)) > 20


def test_the_guard_ends_what_does_not_end() -> None:
    done = run("-c", "from benchmarks.hostile import allow\nallow(0)\nwhile True: pass")
    assert done.returncode == -signal.SIGXCPU


def test_a_payload_full_of_secrets_masks_all() -> None:
    secrets = secret_values({"token": [f"secret-{n}" for n in range(5000)]})
    assert scrub("secret-7 and more", secrets[:20]) != MASK
    assert scrub("secret-4999 " * 1000, secrets) == MASK
    assert scrub_data({"a": ["secret-4999"] * 100}, secrets) == MASK
    assert scrub_data({"a": "no secret"}, secrets) == {"a": "no secret"}
    # A typical number of secrets is searched for in the longest possible result.
    few = secrets[:20]
    assert not too_much(few, 10**7)
    assert scrub_data({"a": f"<{few[0]}>" + "x" * 10**6}, few) == {"a": "<***>" + "x" * 10**6}
