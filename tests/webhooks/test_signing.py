"""Endpoints in Node and Python verify our signatures with the code of the documents."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsejobs.services.webhooks import signing
from hsejobs.services.webhooks.stringify import plain, stringify
from tests.webhooks.node import Node
from tests.webhooks.test_stringify import DATA, KEYS

GUIDE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


def snippet(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```\n<!-- end -->", GUIDE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    # `standard` is what the library of Standard Webhooks does; `verify` is the guide's.
    process = Node(
        snippet("node")
        + """
        function standard(headers, body, secret) {
          const key = secret.startsWith('whsec_')
            ? Buffer.from(secret.substring(6), 'base64') : Buffer.from(secret, 'utf8');
          const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
          const expected = crypto.createHmac('sha256', key).update(signed).digest('base64');
          return headers['webhook-signature'] === 'v1,' + expected;
        }
        function answer({headers, body, secret}) {
          const raw = Buffer.from(body, 'base64').toString('utf8');
          return [verify(headers, JSON.parse(raw), secret), standard(headers, raw, secret)];
        }
        """
    )
    yield process
    process.close()


def sent(body: bytes, secret: str | None, *, at: int | None = None) -> dict[str, str]:
    return signing.headers(
        message="msg_1", event="a.b", timestamp=at or int(time.time()), body=body, secret=secret
    )


def asked(node: Node, headers: dict[str, str], body: bytes, secret: str) -> Any:
    lower = {name.lower(): value for name, value in headers.items()}
    return node.ask({"headers": lower, "body": base64.b64encode(body).decode(), "secret": secret})


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(KEYS, DATA, max_size=5), SECRETS | st.binary(min_size=1, max_size=64))
def test_node_verifies_both(node: Node, data: Any, secret: str | bytes) -> None:
    if isinstance(secret, bytes):
        secret = "whsec_" + base64.b64encode(secret).decode()
    elif secret.startswith("whsec_"):
        return
    body = stringify(plain(data))
    assert asked(node, sent(body, secret), body, secret) == [True, True]


def test_node_refuses_what_is_not_right(node: Node) -> None:
    body = b'{"a":1}'
    headers = sent(body, "one")
    assert asked(node, headers, body, "two") == [False, False]
    assert asked(node, headers, b'{"a":2}', "one") == [False, False]
    old = sent(body, "one", at=int(time.time()) - 301)
    assert asked(node, old, body, "one") == [False, True]
    none = {k: v for k, v in headers.items() if "ignature" not in k}
    assert asked(node, none, body, "one") == [False, False]


def test_the_guide_in_python() -> None:
    space: dict[str, Any] = {}
    exec(snippet("python"), space)  # noqa: S102 - the guide's own code
    body = stringify({"b": 1.5, "1": "é"})
    headers = sent(body, "s3cr3t")
    assert space["verify"](headers, body, "s3cr3t") is True
    assert space["verify"](headers, body, "other") is False
    assert space["verify"](headers, json.dumps({"b": 1.5, "1": "é"}).encode(), "s3cr3t") is False


def test_the_vector_of_standard_webhooks() -> None:
    headers = signing.headers(
        message="msg_p5jXN8AQM9LWM0D4loKWxJek",
        event="test",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_there_is_no_signature() -> None:
    assert sorted(sent(b"{}", None)) == [
        "X-Webhook-Event",
        "X-Webhook-Id",
        "X-Webhook-Timestamp",
        "webhook-id",
        "webhook-timestamp",
    ]


def test_a_prefix_without_base64_is_text() -> None:
    assert signing.standard_key("whsec_not base64!") == b"whsec_not base64!"
    assert signing.standard_key("whsec_") == b"whsec_"


@pytest.mark.parametrize(
    "event", ["", " a", "a ", "a\r\nX-Evil: 1", "a\n", "a\x00b", "é", "x" * 201]
)
def test_an_event_never_breaks_out_of_its_header(event: str) -> None:
    with pytest.raises(ValueError, match="event"):
        signing.headers(message="m", event=event, timestamp=1, body=b"", secret=None)


def test_an_id_is_stable_and_reveals_nothing() -> None:
    one = signing.message_id("hsejobs/webhooks/org-1:x/1")
    assert re.fullmatch(r"msg_[0-9a-f]{32}", one)
    assert one == signing.message_id("hsejobs/webhooks/org-1:x/1")
    assert one != signing.message_id("hsejobs/webhooks/org-1:x/2")
