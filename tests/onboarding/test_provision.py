"""One tenant, no matter which run makes the steps, in what order and how often."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from hsejobs.errors import InvalidPayload, Unrecoverable
from tasks.shared.platform.database import database
from tasks.shared.platform.errors import PlatformUnavailable
from tasks.shared.platform.schema import METADATA, ORGANIZATIONS, STATIONS, USERS
from tasks.tenant_onboarding import onboard_tenant
from tasks.tenant_onboarding.errors import NameTaken, SubscriptionTaken
from tasks.tenant_onboarding.onboard import STEPS, NewTenant, provision
from tasks.tenant_onboarding.payload import TenantPayload
from tests.onboarding.conftest import ACME, ONE_TENANT, census, rows


def payload(**changed: Any) -> TenantPayload:
    return TenantPayload.model_validate({**ACME, **changed})


def nothing(step: str) -> None:
    return None


def test_the_tenant_of_the_document(platform: Engine) -> None:
    seen: list[str] = []
    tenant = provision(platform, payload(), seen.append)
    assert [*seen, "welcome mail"] == list(STEPS)
    assert census(platform) == ONE_TENANT
    [organization] = rows(platform, "organizations")
    assert organization["id"] == tenant.organization_id
    assert (organization["name"], organization["name_key"]) == ("Acme Corp", "acme corp")
    assert (organization["tier"], organization["admin_email"]) == ("professional", "admin@acme.com")
    assert organization["stripe_customer_id"] == "cus_123"
    [admin] = rows(platform, "users")
    assert (admin["email"], admin["name"], admin["role"]) == ("admin@acme.com", "John Doe", "owner")
    assert admin["password_hash"] is None
    assert admin["invite_token"] == tenant.invite
    assert len(tenant.invite or "") >= 40
    [subscription] = rows(platform, "subscriptions")
    assert subscription["organization_id"] == tenant.organization_id
    assert (subscription["stripe_subscription_id"], subscription["tier"]) == (
        "sub_123",
        "professional",
    )
    assert all(one["items"] for one in rows(platform, "checklists"))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"organizationName": "  ACME corp "},
        {"adminEmail": "Admin@ACME.com"},
        {"stripeCustomerId": None, "stripeSubscriptionId": None},
        {"tier": "enterprise", "adminName": "Somebody Else"},
    ],
)
def test_the_same_name_and_address_are_the_same_tenant(
    platform: Engine, changed: dict[str, Any]
) -> None:
    first = provision(platform, payload(), nothing)
    assert provision(platform, payload(**changed), nothing) == first
    assert census(platform) == ONE_TENANT


def test_a_subscription_may_come_later(platform: Engine) -> None:
    bare = provision(platform, payload(stripeCustomerId=None, stripeSubscriptionId=None), nothing)
    assert bare.subscription is None
    assert provision(platform, payload(), nothing).subscription == "sub_123"
    assert rows(platform, "organizations")[0]["stripe_subscription_id"] == "sub_123"
    assert census(platform) == ONE_TENANT


@pytest.mark.parametrize(
    ("changed", "kind", "field"),
    [
        ({"adminEmail": "else@acme.com"}, NameTaken, "organizationName: "),
        ({"organizationName": "Other"}, SubscriptionTaken, "stripeSubscriptionId: "),
        ({"stripeSubscriptionId": "sub_9"}, SubscriptionTaken, "stripeSubscriptionId: "),
        ({"stripeCustomerId": "cus_9"}, SubscriptionTaken, "stripeSubscriptionId: "),
    ],
)
def test_what_is_taken_is_refused_and_nothing_is_written(
    platform: Engine, changed: dict[str, Any], kind: type[Unrecoverable], field: str
) -> None:
    provision(platform, payload(), nothing)
    before = {name: rows(platform, name) for name in METADATA.tables}
    with pytest.raises(kind) as caught:
        provision(platform, payload(**changed), nothing)
    assert str(caught.value).startswith(field)
    for value in (*ACME.values(), *changed.values()):
        assert value not in str(caught.value)
    assert {name: rows(platform, name) for name in METADATA.tables} == before


def test_what_the_tenant_changed_stays(platform: Engine) -> None:
    first = provision(platform, payload(), nothing)
    with platform.begin() as connection:
        connection.execute(STATIONS.delete().where(STATIONS.c.id == "workshop"))
        connection.execute(USERS.update().values(password_hash="x", role="admin"))
        connection.execute(ORGANIZATIONS.update().values(tier="enterprise"))
    again = provision(platform, payload(), nothing)
    assert again == first._replace(tier="enterprise", invite=None)
    assert census(platform) == {**ONE_TENANT, "stations": 2}
    assert rows(platform, "users")[0]["role"] == "admin"


def test_a_name_that_was_given_up_is_free(platform: Engine) -> None:
    provision(platform, payload(), nothing)
    with platform.begin() as connection:
        connection.execute(ORGANIZATIONS.update().values(name="Acme Ltd", name_key="acme ltd"))
    other = payload(adminEmail="new@else.example", stripeSubscriptionId="sub_2")
    assert provision(platform, other, nothing).admin_email == "new@else.example"
    assert census(platform)["organizations"] == 2


def test_two_processes_may_make_the_tables_at_once(platform_url: str, tmp_path: Path) -> None:
    """Separate programs: in one, the second would wait for the first."""
    program = """
import sys, pathlib
from tasks.shared.platform.database import database
import sqlalchemy, tasks.shared.platform.schema
print(flush=True)
sys.stdin.readline()
database(sys.argv[1], pathlib.Path())
"""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program, platform_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for one in both:
        assert one.stdout is not None
        one.stdout.readline()
    for one in both:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        one.stdin.flush()
    assert [(one.communicate(timeout=60)[1], one.returncode) for one in both] == [(b"", 0)] * 3


class Run:
    """A run on a thread of its own that makes one step at each call."""

    def __init__(self, engine: Engine) -> None:
        self.result: NewTenant | None = None
        self.ended = False
        self._go = threading.Semaphore(0)
        self._arrived = threading.Semaphore(0)
        self._dead = False
        self._thread = threading.Thread(target=self._work, args=(engine,))
        self._thread.start()
        assert self._arrived.acquire(timeout=30)

    def _work(self, engine: Engine) -> None:
        try:
            self.result = provision(engine, payload(), self._begin)
        except KeyboardInterrupt:
            return
        finally:
            self.ended = True
            self._arrived.release()

    def _begin(self, step: str) -> None:
        self._arrived.release()
        assert self._go.acquire(timeout=30)
        if self._dead:
            raise KeyboardInterrupt

    def step(self, *, die: bool = False) -> None:
        """Runs until the beginning of the next step, or until the end."""
        if not self.ended:
            self._dead = die
            self._go.release()
            assert self._arrived.acquire(timeout=30)
        if self.ended:
            self._thread.join(30)


@given(
    turns=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(("step", "step", "step", "die"))), max_size=24
    )
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_interleaving_of_two_runs_makes_one_tenant(
    platform: Engine, turns: list[tuple[int, str]]
) -> None:
    with platform.begin() as connection:
        for table in reversed(METADATA.sorted_tables):
            connection.execute(table.delete())
    runs = [Run(platform), Run(platform)]
    for which, what in turns:
        runs[which].step(die=what == "die")
        if runs[which].ended:
            # Whether it was killed or had finished: the job is run again.
            runs[which] = Run(platform)
    for run in runs:
        while not run.ended:
            run.step()
    assert runs[0].result is not None
    assert runs[0].result == runs[1].result
    assert census(platform) == ONE_TENANT


def test_many_at_the_same_moment(platform: Engine) -> None:
    """No turns: the database alone keeps them apart, also two names with one subscription."""
    for number in range(5):
        start = threading.Barrier(6)
        results: list[NewTenant | Exception] = []

        def work(
            name: str,
            n: int = number,
            start: threading.Barrier = start,
            results: list[NewTenant | Exception] = results,
        ) -> None:
            wanted = payload(organizationName=f"{name} {n}", stripeSubscriptionId=f"sub_{n}")
            start.wait(30)
            try:
                results.append(provision(platform, wanted, nothing))
            except SubscriptionTaken as error:
                results.append(error)

        threads = [threading.Thread(target=work, args=("AB"[k % 2],)) for k in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(results) == 6
        made = {one for one in map(_hashable, results) if one is not None}
        assert len(made) == 1
        # The name that lost the subscription left nothing behind.
        assert census(platform) == {key: n * (number + 1) for key, n in ONE_TENANT.items()}


def _hashable(result: NewTenant | Exception) -> tuple[str, str | None] | None:
    return None if isinstance(result, Exception) else (result.organization_id, result.invite)


def test_a_database_that_fails_says_no_value(tmp_path: Path) -> None:
    engine = database(f"sqlite:///{tmp_path}/broken.sqlite", tmp_path)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE subscriptions")
        connection.exec_driver_sql("DROP TABLE users")
    with pytest.raises(PlatformUnavailable) as caught:
        provision(engine, payload(stripeSubscriptionId=None), nothing)
    assert "acme" not in str(caught.value).lower()
    assert caught.value.__suppress_context__


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"organizationName": "  "}, "organizationName"),
    "a name of two lines": ({"organizationName": "Ac\nme"}, "organizationName"),
    "a NUL": ({"adminName": "J\0hn"}, "adminName"),
    "a name that grows": ({"organizationName": "\u0390" * 200}, "organizationName"),
    "half a character": ({"adminName": "J\ud800"}, "adminName"),
    "no address": ({"adminEmail": "no-at-sign"}, "adminEmail"),
    "two addresses": ({"adminEmail": "a@acme.example,b@acme.example"}, "adminEmail"),
    "a name and an address": ({"adminEmail": "John <j@acme.example>"}, "adminEmail"),
    "no tier there is": ({"tier": "platinum"}, "tier"),
    "another customer id": ({"stripeCustomerId": "sub_8877"}, "stripeCustomerId"),
    "an empty customer id": ({"stripeCustomerId": "cus_"}, "stripeCustomerId"),
    "another subscription id": ({"stripeSubscriptionId": "cus_8877"}, "stripeSubscriptionId"),
    "a newline after it": ({"stripeSubscriptionId": "sub_8877\n"}, "stripeSubscriptionId"),
    "a subscription without a customer": ({"stripeCustomerId": None}, "stripeCustomerId"),
    "an unknown field": ({"password": "hunter2hunter2"}, "password"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_payload_is_refused_at_the_add(what: str) -> None:
    changed, field = BAD[what]
    with pytest.raises(InvalidPayload) as caught:
        onboard_tenant.data_of({**ACME, **changed})
    assert caught.value.field == field
    for value in (v for v in changed.values() if isinstance(v, str) and len(v.strip()) > 4):
        assert value.strip() not in str(caught.value)


def test_the_document_and_the_model_have_the_same_fields() -> None:
    fields = {one.alias for one in TenantPayload.model_fields.values()}
    assert fields == set(ACME)
    least = {key: ACME[key] for key in ("organizationName", "adminEmail", "adminName", "tier")}
    assert onboard_tenant.data_of(least) == least
    snake = {"organization_name": "A", "admin_email": "a@b.example", "admin_name": "B"}
    camel = {"organizationName": "A", "adminEmail": "a@b.example", "adminName": "B"}
    assert onboard_tenant.data_of(snake) == camel
