"""/metrics: correct, the same from every instance; the Grafana dashboard and rules match it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from hsejobs.model import State
from hsejobs.store.circuits import Circuits
from hsejobs.store.client import RedisClient
from hsejobs.store.holds import Holds
from hsejobs.store.shares import Shares
from hsejobs.store.tallies import Tallies
from hsejobs_http import counting
from hsejobs_http.counting import BOUNDS, Counts
from tests.http.conftest import MAIL, Shim, running
from tests.store.test_acts import Store
from tests.support import wait_until
from tests.support.server import Server

DOCS = Path(__file__).parents[2] / "docs"
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[^"\n]*",?)*)\})? (-?[0-9.e+]+)')


def scrape(base: str, **headers: str) -> dict[str, float]:
    """Returns every sample by its name with labels; checks the format of the text."""
    answer = httpx.get(f"{base}/metrics", headers=headers, trust_env=False)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, float] = {}
    kinds: dict[str, str] = {}
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            sample = SAMPLE.fullmatch(line)
            assert sample is not None, line
            family = re.sub(r"_(bucket|sum|count)$", "", sample[1])
            assert sample[1] in kinds or kinds[family] == "histogram"
            whole = line.rpartition(" ")[0]
            assert whole not in found
            found[whole] = float(sample[3])
    return found


def test_jobs_by_queue_and_state(shim: Shim, redis_url: str) -> None:
    for n in range(3):
        shim.ask("POST", "/email", json={**MAIL, "jobId": f"a{n}"})
    shim.ask("POST", "/email", json={**MAIL, "delay": 60_000})
    shim.ask("POST", "/email/pause", "operator")
    store = Store(redis_url)
    found = scrape(shim.url)
    states = ("waiting", "active", "completed", "failed", "delayed", "paused")
    assert [found[f'hsejobs_jobs{{queue="email",state="{one}"}}'] for one in states] == [
        0,
        0,
        0,
        0,
        1,
        3,
    ]
    assert found['hsejobs_oldest_waiting_seconds{queue="email"}'] >= 0
    assert found['hsejobs_consumers{queue="email"}'] == 0
    assert found['hsejobs_circuits{state="open"}'] == 0
    Circuits(store.redis, "hsejobs").open("smtp:mail.example.com:25")
    assert (
        sum(
            scrape(shim.url)[f'hsejobs_circuits{{state="{one}"}}']
            for one in ("closed", "open", "half_open")
        )
        == 1
    )
    # No organization, no host, no user.
    text = httpx.get(f"{shim.url}/metrics", trust_env=False).text
    assert not re.search(r"org-1|ann|mail\.example", text)
    store.redis.close()


def test_durations_rates_and_failures(shim: Shim, redis_url: str) -> None:
    from hsejobs.store.work import Done, WorkerStore

    for n in range(10):
        shim.ask("POST", "/email", json={**MAIL, "jobId": f"a{n}"})
    store = Store(redis_url)
    work = WorkerStore(store.redis, "hsejobs", "email", patience=1)
    _, claims = work.step([], 10, "token", 30_000)
    work.step([Done(c.id, c.token, 20_000, b"") for c in claims[:8]], 0, "x", 30_000)
    for one in claims[8:]:
        work.fail(
            one.id,
            one.token,
            code="error",
            error=b'{"error":"no"}',
            run_us=3_000_000,
            final=True,
            delay_ms=None,
        )
    found = scrape(shim.url)
    name = "hsejobs_job_run_seconds"
    assert found[f'{name}_bucket{{queue="email",le="0.016384"}}'] == 0
    assert found[f'{name}_bucket{{queue="email",le="0.065536"}}'] == 8
    assert found[f'{name}_bucket{{queue="email",le="4.194304"}}'] == 10
    assert found[f'{name}_count{{queue="email"}}'] == 10
    assert found[f'{name}_sum{{queue="email"}}'] == pytest.approx(8 * 0.02 + 2 * 3, rel=0.01)
    waited = "hsejobs_job_wait_seconds"
    assert found[f'{waited}_count{{queue="email"}}'] == 10
    assert found[f'{waited}_bucket{{queue="email",le="+Inf"}}'] == 10
    assert found[f'{waited}_sum{{queue="email"}}'] > 0
    assert found['hsejobs_jobs_added_total{queue="email"}'] == 10
    assert found['hsejobs_jobs_completed_total{queue="email"}'] == 8
    assert found['hsejobs_jobs_failed_total{queue="email",code="error"}'] == 2
    assert found['hsejobs_jobs_retried_total{queue="email"}'] == 0
    assert found['hsejobs_slots{queue="email",state="busy"}'] == 0
    assert found["hsejobs_redis_memory_bytes"] > 0
    assert found['hsejobs_failure_ratio{queue="email"}'] == 0.2
    assert found['hsejobs_finished_per_minute{queue="email"}'] == 2
    assert found[f'hsejobs_jobs{{queue="email",state="{State.COMPLETED}"}}'] == 8
    store.redis.close()


def test_http_metrics_are_the_same_from_every_instance(own_shim: Shim, tmp_path: Path) -> None:
    shim = own_shim  # Without what another test has not reported yet.
    for _ in range(3):
        shim.ask("GET", "/stats")
    shim.ask("POST", "/email", json={"to": 1})
    shim.client.get("/api/jobs/stats")
    shim.client.get("/wp-admin/" + "x" * 500)
    shim.client.request("PROPFIND", "/healthz")
    name = "hsejobs_http_requests_total"
    wanted = {
        f'{name}{{route="/api/jobs/stats",method="GET",status="200"}}': 3,
        f'{name}{{route="/api/jobs/{{queue}}",method="POST",status="422"}}': 1,
        f'{name}{{route="unmatched",method="GET",status="401"}}': 1,
        f'{name}{{route="unmatched",method="GET",status="404"}}': 1,
        f'{name}{{route="/healthz",method="OTHER",status="405"}}': 1,
    }
    other_home = tmp_path / "other"
    other_home.mkdir()
    with running(other_home) as other:
        wait_until(lambda: wanted.items() <= scrape(shim.url).items(), 10, "the counts")
        wait_until(lambda: wanted.items() <= scrape(other.url).items(), 10, "the same counts")
        found = scrape(other.url)
        took = "hsejobs_http_request_duration_seconds"
        assert found[f'{took}_bucket{{route="/api/jobs/stats",le="+Inf"}}'] == 3
        assert found[f'{took}_count{{route="/api/jobs/stats"}}'] == 3
        before = found[f'{name}{{route="/healthz",method="GET",status="200"}}']
        for _ in range(5):
            other.client.get("/healthz")
    # A shim reports its counts before it stops.
    after = scrape(shim.url)[f'{name}{{route="/healthz",method="GET",status="200"}}']
    assert after >= before + 5


def test_counts_survive_an_outage_and_count_once(redis_server: Server, redis_url: str) -> None:
    client = RedisClient(redis_url)
    tallies = Tallies(client, "t")
    counts = Counts(tallies)
    counts.note("/a", "GET", 200, 0.003)
    counts.report()
    redis_server.stop()
    counts.note("/a", "GET", 200, 0.3)
    counts.report()
    counts.note("/a", "GET", 200, 99.0)
    redis_server.start()
    redis_server.reset()
    counts.report()
    counts.report()
    assert tallies.all()["n|/a|GET|200"] == 2
    tallies.add("me", 1, {"s|/a": 5})
    tallies.add("me", 1, {"s|/a": 5})
    tallies.add("me", 2, {"s|/a": 7})
    assert tallies.all()["s|/a"] == 300_000 + 99_000_000 + 12
    text = "\n".join(counting.lines(tallies))
    assert f'_bucket{{route="/a",le="{BOUNDS[-1]:g}"}} 1' in text
    assert '_bucket{route="/a",le="+Inf"} 2' in text
    client.close()


def test_the_token_of_metrics(redis_url: str, tmp_path: Path) -> None:
    with running(tmp_path, JOBS_METRICS_TOKEN="sesame") as shim:
        for given in ({}, {"Authorization": "Bearer no"}, {"Authorization": "sesame"}):
            answer = shim.client.get("/metrics", headers=given)
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
        assert scrape(shim.url, Authorization="Bearer sesame")
        assert scrape(shim.url, Authorization="bearer sesame")


def test_dashboard_and_rules_name_metrics_that_exist(shim: Shim, redis_url: str) -> None:
    store = Store(redis_url)
    alert = {
        "rule": "waiting",
        "queue": "email",
        "state": "on",
        "value": 1,
        "limit": 0,
        "message": "",
        "sinceMs": 0,
        "endedMs": None,
    }
    store.redis.command("HSET", "hsejobs:alerts", "waiting:email", json.dumps(alert))
    store.redis.close()
    shim.ask("POST", "/email", json=MAIL)
    wait_until(lambda: any("http_requests" in one for one in scrape(shim.url)), 10, "the counts")
    there = {one.partition("{")[0] for one in scrape(shim.url)}
    # Some have no sample here, such as failures by code.
    text = httpx.get(f"{shim.url}/metrics", trust_env=False).text
    there |= set(re.findall(r"^# TYPE (\w+) (?:gauge|counter)$", text, re.MULTILINE))
    families = {re.sub(r"_(bucket|sum|count)$", "", one) for one in there}
    board = json.loads((DOCS / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    rules = (DOCS / "prometheus-rules.yml").read_text()
    asked.append(rules)
    used = {one for expr in asked for one in re.findall(r"\bhsejobs_\w+", expr)}
    assert used - there == set()
    assert families - {re.sub(r"_(bucket|sum|count)$", "", one) for one in used} == set()
    assert families <= set(re.findall(r"`(hsejobs_\w+)`", (DOCS / "http.md").read_text()))
    labels = {"queue", "state", "rule", "route", "method", "status", "le"}
    assert set(re.findall(r"\b(\w+)=~?\"", " ".join(asked))) <= labels


def test_what_is_held_is_counted(shim: Shim, redis_url: str) -> None:
    store = Store(redis_url)
    names = [f'hsejobs_held_{what}{{queue="email"}}' for what in ("tasks", "organizations")]
    assert [scrape(shim.url)[one] for one in names] == [0, 0]
    Shares(store.redis, "hsejobs").set("email", "org-7", paused=True)
    Holds(store.redis, "hsejobs").set("email", "tasks.email.send_email", paused=True, who="ann")
    assert [scrape(shim.url)[one] for one in names] == [1, 1]
