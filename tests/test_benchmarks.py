"""The benchmarks run in a small form, look at every result, and never compare code with itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from benchmarks import checkout, figures
from benchmarks.arena import Arena
from benchmarks.contestants import Subject
from benchmarks.distance import Distance
from benchmarks.server import Server, find_binary
from benchmarks.shards import Sharded
from tests.support import skip_or_fail

ROOT = Path(__file__).parents[1]


def run(*words: str) -> dict[str, Any]:
    """Run a program of the benchmarks and return its report."""
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return report


@pytest.mark.timeout(120)
def test_engine_has_the_shape_that_it_documents() -> None:
    words = "--only drain1 --cases unix --jobs 2000 --rounds 1 --peers huey --no-tuning"
    report = run("benchmarks/engine.py", *words.split())
    assert set(report["environment"]["round trip ms"]) == {"tcp", "unix", "1ms"}
    assert report["environment"]["code"] == checkout.fingerprint(ROOT)
    measured = report["measures"]["drain1 unix"]
    assert set(measured["contestants"]) == {"hsejobs", "huey"}
    for name, one in measured["contestants"].items():
        assert one["median"]["results"] == (1000 if name == "huey" else 2000)
        for figure in ("jobs/s", "worker CPU us", "redis CPU us"):
            low, high = one["spread"][figure]
            assert 0 < low <= one["median"][figure] <= high
    assert measured["ratios"]["hsejobs/huey"]["jobs/s"]["better"] == "above 1"
    assert "results" not in measured["ratios"]["hsejobs/huey"]


@pytest.mark.timeout(120)
def test_ordinary_has_the_shape_that_it_documents() -> None:
    words = "--warm 5 --jobs 20 --rounds 1 --idle 1 --link 1ms"
    report = run("-m", "benchmarks.ordinary", str(ROOT), *words.split())
    assert report["redis"]["alone"] > 0
    # 5 before the measurement, one block, and one with the slow log.
    assert report["results"] == {"alone": 45}
    assert {"add", "complete"} <= set(report["scripts"]["alone"])
    assert report["commands"]["alone"]["evalsha"]["calls"] >= 2


def test_a_job_without_its_result_fails_a_measurement() -> None:
    with Arena(Subject(), find_binary(None)) as arena:
        arena.add("bulk", 5)
        with pytest.raises(RuntimeError, match=r"5 jobs were added, 0 have ended"):
            arena.check()
        arena.start_workers(Subject.one[0])
        arena.wait(lambda: arena.completed() >= 5, 60)
        assert arena.check() == 5
        some = arena.server.ask("ZRANGE", "hsejobs:{bench}:completed", "0", "0")[0].decode()
        arena.server.ask("HDEL", f"hsejobs:{{bench}}:j:{some}", "r")
        with pytest.raises(RuntimeError, match=r"5 have ended and 4 of them have their result"):
            arena.check()


def test_a_worker_of_one_base_works_the_others() -> None:
    """The trial of `docs/scaling.md`: one queue over several bases loses no job and no result."""
    trial = Sharded(2)
    # The jobs take longer than a lease, so that one which no one renews would be lost.
    with Arena(trial, find_binary(None), extra=trial.lease_env(1000)) as arena:
        arena.start_workers(trial.one[0], "nap")
        arena.add("bulk", 200, "nap")
        arena.add("add", 20, "nap")
        arena.wait(lambda: arena.completed() >= 220, 60)
        assert arena.check() == 220
        there = [trial.completed(server) for server in arena.servers]
        assert all(there), "every id has the same base"


def test_code_is_not_compared_with_itself(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    shutil.copytree(ROOT / "hsejobs", tmp_path / "copy/hsejobs")
    with pytest.raises(checkout.SameCode, match="have the same code"):
        checkout.differ([ROOT, tmp_path / "copy"])
    with (tmp_path / "copy/hsejobs/store/lua/add.lua").open("a") as changed:
        changed.write("-- changed\n")
    checkout.differ([ROOT, tmp_path / "copy"])


def test_a_checkout_without_the_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with pytest.raises(checkout.SameCode, match="another tree"):
        checkout.program(tmp_path / "program", tmp_path / "tree")
    assert checkout.program(tmp_path / "other", ROOT)


def test_the_proxy_keeps_bytes_and_their_order(short_tmp: Path) -> None:
    with Server(find_binary(None), short_tmp) as server, Distance(server.socket, 0.001) as far:
        client = redis.Redis.from_url(far.url)
        pipe = client.pipeline(transaction=False)
        sent = [f"{i:06d}".encode() * 50 for i in range(2000)]
        for one in sent:
            pipe.rpush("line", one)
        pipe.execute()
        assert client.lrange("line", 0, -1) == sent
        client.close()


def test_ratios_are_taken_within_a_round() -> None:
    ours: list[dict[str, Any]] = [{"jobs/s": 20.0}, {"error": "killed"}, {"jobs/s": 90.0}]
    theirs: list[dict[str, Any]] = [{"jobs/s": 10.0}, {"jobs/s": 10.0}, {"jobs/s": 30.0}]
    assert figures.ratios(ours, theirs)["jobs/s"]["rounds"] == [2, 3]
    assert figures.spreads(ours) == {"jobs/s": [20, 90]}


def test_the_peers_on_node_are_programs() -> None:
    node = shutil.which("node")
    if node is None:
        skip_or_fail("node is not installed")
    for file in sorted((ROOT / "benchmarks/peers/bull").glob("*.js")):
        done = subprocess.run(
            [str(node), "--check", str(file)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
