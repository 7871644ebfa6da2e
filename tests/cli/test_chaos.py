"""``hsejobs chaos``: its verdict is right, runs are repeatable, and nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from hsejobs.engine.runtime import reset_runtime
from hsejobs.errors import InvalidOption
from hsejobs.model import State
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.write import JobWriter, NewJob
from hsejobs_cli.chaos import plan as plans
from hsejobs_cli.chaos.ledger import Ledger
from hsejobs_cli.chaos.plan import Blow
from hsejobs_cli.chaos.verdict import InjectedBlow, judge
from tests.cli.test_commands import run
from tests.support import wait_until
from tests.support.server import Server

WORK = {"seconds": 4, "rate": 15, "workers": 2, "seed": 5, "leaseMs": 1500}


def plan(*blows: dict[str, Any], **more: Any) -> str:
    return json.dumps({**WORK, "blows": list(blows), **more})


@pytest.fixture
def url(redis_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Runs as an administrator, on a server that others use too."""
    monkeypatch.setenv("QUEUE_REDIS_URL", redis_server.url)
    reset_runtime()
    yield redis_server.url
    reset_runtime()


@contextlib.contextmanager
def unchanged(server: Server) -> Iterator[None]:
    """Checks that foreign keys are the same afterwards, byte by byte, and no others exist."""
    with server.client() as client:
        client.hset("hsejobs:{email}:j:1", mapping={"s": "w"})
        client.set("theirs", "1")

        def all_of_it() -> Any:
            keys = sorted(client.scan_iter("*"))
            settings = client.config_get("*")
            return {key: client.dump(key) for key in keys}, settings, client.acl_list()

        before = all_of_it()
        yield
        assert all_of_it() == before


def test_no_job_is_lost_and_foreign_keys_stay_unchanged(url: str, redis_server: Server) -> None:
    blows = (
        {"at": 0.6, "blow": "kill", "target": "threads"},
        {"at": 1.2, "blow": "kill-worker", "target": "processes"},
        {"at": 1.5, "blow": "cut"},
        {"at": 1.6, "blow": "full", "seconds": 0.4},
        {"at": 2.1, "blow": "no-replicas", "seconds": 0.4},
        {"at": 2.6, "blow": "no-rights", "seconds": 0.4},
        {"at": 3.1, "blow": "frozen", "seconds": 0.4},
        {"at": 3.6, "blow": "stop", "target": "processes"},
    )
    allowed = [
        w for name in ("full", "no-replicas", "no-rights", "frozen") for w in ("--server", name)
    ]
    with unchanged(redis_server):
        done = run(
            "chaos",
            "--plan",
            "-",
            "--json",
            "--yes",
            *allowed,
            "--server-pid",
            str(redis_server.pid),
            stdin=plan(*blows),
        )
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"]) == (0, True), done.stderr
    expected = len(list(plans.read(plan()).jobs()))
    assert (found["accepted"], found["completed"]) == (expected, expected)
    assert [found[name] for name in ("lost", "doubled", "failed", "consumersDied")] == [0] * 4
    assert [one["blow"] for one in found["blows"]] == [one["blow"] for one in blows]
    assert [one["skipped"] for one in found["blows"]] == [None] * len(blows)
    assert found["files"] is None


def test_seed_and_plan_make_a_run_repeatable(url: str) -> None:
    words = ("chaos", "--seconds", "20", "--seed", "7")
    first, second = (json.loads(run(*words, "--dry-run").stdout) for _ in range(2))
    assert first == second
    assert len(first["blows"]) > 3
    assert json.loads(run("chaos", "--seconds", "20", "--seed", "8", "--dry-run").stdout) != first
    short = plan({"at": 0.3, "blow": "cut"}, seconds=1)
    kept: list[tuple[Any, list[str]]] = []
    for given in (short, ""):
        text = given or json.dumps(kept[0][0])
        done = run("chaos", "--plan", "-", "--json", "--keep", stdin=text)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        ledger = Ledger(Path(found["files"]) / "ledger.jsonl").read()
        jobs = sorted(line["job"] for line in ledger if line["what"] == "accepted")
        kept.append((found, jobs))
    assert (
        kept[0][0]["plan"]
        == kept[1][0]["plan"]
        == {**json.loads(short)} | {"blows": [{"at": 0.3, "blow": "cut", "seconds": 0.0}]}
    )
    assert kept[0][1] == kept[1][1]
    assert len(kept[0][1]) > 5


def started(*words: str, text: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "hsejobs_cli", "chaos", "--plan", "-", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.close()
    process.stdin = None
    return process


def prefix_of(client: redis.Redis) -> str:
    """Returns the prefix of the current run, once jobs have been added."""
    found: list[bytes] = []

    def there() -> bool:
        found[:] = list(client.scan_iter("hsejobs-chaos-*:{chaos}:j:*"))
        return bool(found)

    wait_until(there, 40, what="jobs of the run")
    return found[0].decode().partition(":")[0]


def test_verdict_reports_lost_and_doubled_jobs(url: str, redis_client: redis.Redis) -> None:
    process = started("--json", text=plan(seconds=6))
    try:
        prefix = prefix_of(redis_client)
        client = RedisClient(url)
        reader, writer = JobReader(client, prefix), JobWriter(client, prefix)
        delayed: list[str] = []

        def found() -> bool:
            delayed[:] = [job.id for job in reader.page("chaos", State.DELAYED).jobs]
            return bool(delayed)

        wait_until(found, 20, what="a delayed job")
        writer.remove("chaos", delayed[0])
        done = reader.page("chaos", State.COMPLETED).jobs[0]
        again = reader.job("chaos", done.id)
        writer.remove("chaos", done.id)
        writer.add("chaos", NewJob(again.id, again.name, b'{"seconds":0.01}', 1, 1, 0, 60_000))
        out, err = process.communicate(timeout=90)
    finally:
        process.kill()
    verdict = json.loads(out)
    assert (process.returncode, verdict["ok"]) == (1, False), err
    assert (verdict["jobs"]["lost"], verdict["jobs"]["doubled"]) == ([delayed[0]], [done.id])
    assert "ledger and logs are in" in err
    assert list(redis_client.scan_iter("hsejobs-chaos-*")) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_or_key_is_left_however_the_run_ends(
    url: str, redis_server: Server, redis_client: redis.Redis, how: signal.Signals
) -> None:
    with unchanged(redis_server):
        blows = ({"at": 0.2, "blow": "no-replicas", "seconds": 80},)
        # It ends long before that: how a busy machine gets there takes a while, too.
        process = started("--server", "no-replicas", "--yes", text=plan(*blows, seconds=90))
        # A busy machine may add its first job only after the blow.
        assert process.stderr is not None
        prefix = next(
            found[0] for line in process.stderr if (found := re.search(r"hsejobs-chaos-\w+", line))
        )

        def struck() -> bool:
            assert process.poll() is None, process.communicate()
            return redis_client.config_get("min-replicas-to-write") == {
                "min-replicas-to-write": "100"
            }

        wait_until(struck, 40, what="the blow")
        ours = consumers_of(prefix)
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
        assert process.returncode == {signal.SIGKILL: -9}.get(how, 130), err
        assert len(ours) >= 2
        wait_until(lambda: not any(lives(pid) for pid in ours), 20, what="the consumers' end")
        wait_until(lambda: not list(redis_client.scan_iter(f"{prefix}*")), 20, what="no keys")
        wait_until(
            lambda: (
                redis_client.config_get("min-replicas-to-write")["min-replicas-to-write"] == "0"
            ),
            20,
            what="the old setting",
        )


def consumers_of(prefix: str) -> list[int]:
    """Returns the ids of all processes that use this prefix."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"QUEUE_REDIS_PREFIX={prefix}".encode() in (place / "environ").read_bytes():
                found.append(int(place.name))
    return found


def lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


def test_missing_rights_for_the_prefix_are_reported(redis_url: str) -> None:
    done = run("chaos", "--seconds", "1")
    assert (done.returncode, done.stdout) == (3, "")
    assert "~hsejobs-chaos-" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--rate", "0"], ""),
        (["--seconds", "1e9"], ""),
        (["--workers", "0"], ""),
        (["--server", "everything"], ""),
        (["--server", "frozen"], ""),
        (["--server", "full"], ""),
        (["--server", "frozen", "--server-pid", "1", "--yes"], ""),
        (["--plan", "nowhere.json"], ""),
        (["--plan", "-"], "rubbish"),
        (["--plan", "-"], "[" * 100_000),
        (["--plan", "-"], "[]"),
        (["--plan", "-"], plan({"at": 1, "blow": "full"})),
        (["--plan", "-"], plan({"at": 1, "blow": ["kill"]})),
        (["--plan", "-"], plan({"at": 1, "blow": "kill"})),
        (["--plan", "-"], plan({"at": 1, "blow": "cut", "seconds": float("nan")})),
        (["--plan", "-"], plan({"at": 1, "blow": "hole"})),
        (["--plan", "-"], plan({"at": 2, "blow": "cut"}, {"at": 1, "blow": "cut"})),
        (["--plan", "-"], plan(seed=-1)),
        (["--plan", "-"], plan(seed=1e300)),
        (["--plan", "-"], plan(rate="fast")),
    ],
)
def test_invalid_input_is_one_error_line(url: str, words: list[str], text: str) -> None:
    done = run("chaos", *words, stdin=text)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1
    assert "unexpected" not in done.stderr


def test_full_needs_noeviction(url: str, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        redis_client.set("theirs", "1")
        done = run("chaos", "--seconds", "5", "--server", "full", "--yes")
        assert done.returncode == 1
        assert "noeviction" in done.stderr
        assert list(redis_client.scan_iter("*")) == [b"theirs"]
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")


# -- the verdict alone, on ledgers from the real writer


class Story:
    """A ledger with given times."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path)

    def tell(self, at: float, what: str, job: str, group: int = 1, **more: Any) -> None:
        more = (
            {"due": at, **more}
            if what == "accepted"
            else {
                "run": f"{job}.{group}",
                "pid": group,
                "group": group,
                **more,
            }
        )
        self.ledger.write(what, job, **{**more, "t": at})

    def judged(self, *injected: InjectedBlow, completed: str = "a", lease: float = 3.0) -> Any:
        return judge(self.ledger.read(), set(completed), set(), list(injected), lease)


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path / "ledger")


KILL = InjectedBlow(Blow(12.0, "kill", target="threads"), 12.0, 12.0, group=1, next_group=3)


@pytest.mark.parametrize(
    ("end", "blow", "doubled"),
    [
        (None, KILL, 0),  # killed in the middle
        (11.5, KILL, 0),  # killed before its outcome was written
        (10.5, KILL, 1),  # written long ago
        (None, InjectedBlow(KILL.blow, 12.0, 12.0, group=7), 1),  # another was killed
        (
            None,
            InjectedBlow(KILL.blow, 21.0, 21.0, group=1),
            1,
        ),  # killed after the second run began
        (13.0, InjectedBlow(Blow(11, "freeze", 3, "threads"), 11.0, 14.0, group=1), 0),
        (13.0, InjectedBlow(Blow(11, "freeze", 1, "threads"), 11.0, 12.0, group=1), 1),  # too short
        (13.0, InjectedBlow(Blow(11, "black-hole", 4), 11.0, 15.0), 1),  # nothing was hurt
        (13.0, InjectedBlow(Blow(11, "stop", 1, "threads"), 11.0, 12.0, group=1), 1),
    ],
)
def test_only_a_run_whose_holder_was_ended_may_be_repeated(
    story: Story, end: float | None, blow: InjectedBlow, doubled: int
) -> None:
    story.tell(10, "accepted", "a")
    story.tell(10, "begin", "a", 1)
    if end is not None:
        story.tell(end, "end", "a", 1)
    story.tell(20, "begin", "a", 2)
    story.tell(21, "end", "a", 2)
    found = story.judged(blow)
    assert (len(found.doubled), found.repeated) == (doubled, 1 - doubled)
    assert (found.completed, found.lost, found.ok) == (1, [], not doubled)


def test_completed_requires_redis_and_ledger(story: Story) -> None:
    for job in "abc":
        story.tell(10, "accepted", job)
    for job in "ab":
        story.tell(10, "begin", job)
    story.tell(11, "end", "a")
    found = story.judged(completed="ab")
    assert (found.completed, found.lost, found.ok) == (1, ["b", "c"], False)
    assert story.judged(completed="c").lost == ["a", "b", "c"]


def test_an_effect_happens_once_despite_kills(story: Story) -> None:
    story.tell(10, "accepted", "a")
    for at, group in ((10, 1), (20, 2)):
        story.tell(at, "begin", "a", group)
        story.tell(at + 1, "effect", "a", group)
    story.tell(22, "end", "a", 2)
    assert story.judged(KILL).doubled == ["a"]


def test_late_jobs_waited_outside_of_blows(story: Story) -> None:
    for job, due, begin in (("a", 10.0, 13.0), ("b", 30.0, 33.0), ("c", 50.0, 50.1)):
        story.tell(due, "accepted", job)
        story.tell(begin, "begin", job)
        story.tell(begin + 0.1, "end", job)
    found = story.judged(InjectedBlow(Blow(0, "refuse", 2), 9.5, 12.5), completed="abc")
    assert (found.late, found.recovered, found.drained) == ({"b": 3.0}, [0.5], [0.5])
    assert found.ok


def test_incomplete_ledger_line_is_not_read(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.write("begin", "a")
    with ledger.path.open("ab") as file:
        file.write(b'{"what":')
    assert [line["job"] for line in ledger.read()] == ["a"]


def test_a_plan_survives_a_round_trip() -> None:
    for seed in range(50):
        made = plans.make(seed, 60, 20, 3, list(plans.BLOWS))
        assert plans.read(json.dumps({"ok": True, "plan": made.document()})) == made
        assert list(made.jobs()) == list(plans.read(json.dumps(made.document())).jobs())
    with pytest.raises(InvalidOption):
        plans.make(1, 60, 20, 0, [])
