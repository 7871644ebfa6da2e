"""Keys of jobs: which a task may have, how they are stored, and that every door computes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from hsejobs.engine import JobHuey
from hsejobs.engine.periodic import Scheduler
from hsejobs.engine.runtime import reset_runtime, runtime
from hsejobs.errors import InvalidOption, InvalidPayload
from hsejobs.settings import load_settings
from hsejobs.store.rules import rules_of
from tests.engine import keyed_jobs
from tests.engine.keyed_jobs import Call, add, call, mail

HASH = "sha256:"


def key_of(job_id: str) -> str | None:
    """The key in a job's record."""
    found = runtime().redis.command("HGET", f"{keyed_jobs.huey.base}j:{job_id}", "ky")
    return None if found is None else found.decode()


@pytest.fixture(autouse=True)
def queue(redis_url: str, no_leaks: None) -> Iterator[None]:
    reset_runtime()
    keyed_jobs.huey._registered = None
    yield
    runtime().redis.close()
    reset_runtime()


# -- options


def key(payload: Any) -> str:
    return str(payload)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"key": key}, "key"),
        ({"key_limit": 2}, "key_limit"),
        ({"key_rate": "5/s"}, "key_rate"),
        ({"key": "host", "key_limit": 2}, "key"),
        ({"key": key, "key_limit": 0}, "key_limit"),
        ({"key": key, "key_limit": True}, "key_limit"),
        ({"key": key, "key_limit": 2, "key_rate": "5"}, "key_rate"),
        ({"key": key, "key_rate": "0/s"}, "key_rate"),
        ({"key": key, "key_rate": "5/d"}, "key_rate"),
        ({"key": key, "key_rate": 5}, "key_rate"),
    ],
    ids=range(10),
)
def test_a_decorator_with_half_a_limit_is_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidOption, match=rf"^{named}: "):
        JobHuey("never").task(**options)(lambda payload: None)


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 0},
        {"limit": 2.0},
        {"rate": "50"},
        {"rate": ""},
        {"rate": 50},
        {"tenant_limit": -1},
        {"fair": 0},
        {"ageing": -1},
    ],
    ids=str,
)
def test_a_limit_that_cannot_be_is_refused_where_it_is_written(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InvalidOption, match=rf"^{name}: "):
        JobHuey("never", **options)


def test_the_environment_wins_over_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = JobHuey("sharing", limit=20, rate="50/s", tenant_limit=5, fair=True, ageing=60.5)
    assert rules_of(queue.describe()) == {"l": "20", "r": "50 1010", "t": "5", "g": "60500"}
    assert rules_of(JobHuey("plain").describe()) == {}
    for name, value in {
        "FAIR": "0",
        "AGEING": "0",
        "LIMIT": "7",
        "RATE": "9/h",
        "TENANT_LIMIT": "1",
    }.items():
        monkeypatch.setenv(f"QUEUE_SHARING_{name}", value)
    reset_runtime()
    changed = {"f": "0", "g": "0", "l": "7", "r": "9 3600010", "t": "1"}
    assert rules_of(queue.describe()) == changed
    for name in ("LIMIT", "RATE", "TENANT_LIMIT"):
        monkeypatch.setenv(f"QUEUE_SHARING_{name}", "none")
    reset_runtime()
    assert rules_of(queue.describe()) == {"f": "0", "g": "0"}


def test_one_variable_of_two_queues() -> None:
    """Which of the two queues there is, only the code knows."""
    settings = load_settings({"HOME": "/", "QUEUE_SHOP_TENANT_LIMIT": "3"})
    assert settings.queue("shop").tenant_limit == 3
    assert settings.queue("shop").limit is None
    assert settings.queue("shop-tenant").limit == 3


def test_a_task_has_its_rule_under_all_its_names() -> None:
    queue = JobHuey("names")

    @queue.task(key=key, key_limit=2, key_rate="5/m", aliases=["former", "other.module.old"])
    def now(payload: Any) -> None: ...

    full = now.full_name
    assert rules_of(queue.describe()) == {
        f"k:{full}": "2 5 60010",
        "k:now": f">{full}",
        f"k:{__name__}.former": f">{full}",
        "k:former": f">{full}",
        "k:other.module.old": f">{full}",
        "k:old": f">{full}",
    }


# -- keys


def test_a_key_is_stored_for_every_way_to_add() -> None:
    assert key_of(call.add({"host": "a"}, organization_id="one").id) == "a one"
    assert key_of(call.add(Call(host="a")).id) == "a -"
    # The organization that the payload names counts as well.
    many = mail.add_many([{"to": "x"}, {"to": "y"}], organization_id="one")
    assert [key_of(job.id) for job in many] == ["x", "y"]
    assert key_of(keyed_jobs.huey.submit({"host": "b"}, task="call").id) == "b -"
    assert key_of(call(Call(host="c")).id) == "c -"
    assert key_of(call.schedule(({"host": "d"},), delay=60).id) == "d -"
    assert key_of(add(1, 2).id) == "[1, 2]"
    slot = Scheduler(keyed_jobs.huey).add(keyed_jobs.tick.full_name, 60)
    assert slot is not None
    assert key_of(slot) == "tick{}"


def test_no_key_is_no_limit() -> None:
    assert key_of(call.add({}).id) is None
    assert key_of(call.add({"host": ""}).id) is None


def test_a_key_that_fails_refuses_the_add(redis_client: redis.Redis) -> None:
    for host, reason in (("raise", "failed: ValueError"), ("number", "returned int")):
        with pytest.raises(
            InvalidPayload, match=f"key function of .*keyed_jobs.call {reason}"
        ) as e:
            call.add_many([{"host": "a"}, {"host": host, "pin": "1234"}])
        assert "1234" not in str(e.value)
    assert redis_client.keys("*}:j:*") == []


@pytest.mark.parametrize("host", ["x" * 300, "line\nfeed", "\ud800"], ids=["long", "line", "half"])
def test_a_key_that_does_not_fit_is_hashed(host: str) -> None:
    stored = keyed_jobs.call.key_of({"host": host}, "", None)
    whole = f"{host} -".encode("utf-8", "surrogatepass")
    assert stored == HASH + hashlib.sha256(whole).hexdigest()
    assert keyed_jobs.call.key_of({"host": "x" * 198}, "", None) == "x" * 198 + " -"


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
def test_a_secret_is_no_key(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    if sealed:
        monkeypatch.setenv("JOBS_SECRET_KEY", "k" * 32)
        reset_runtime()
    job = call.add({"host": "pin", "pin": "4711"})
    assert (key_of(job.id) or "").startswith(HASH)
    short = call.add({"host": "pin", "pin": ""})
    assert key_of(short.id) == "pin "
    assert redis_client.keys("*4711*") == []
