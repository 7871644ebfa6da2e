"""Calls as the platform makes them, received over HTTP by Node and verified by the guide's code."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hsejobs.services.webhooks import signing
from hsejobs.services.webhooks.address import parse_url
from hsejobs.services.webhooks.deliver import Answer, post
from hsejobs.services.webhooks.stringify import stringify
from tasks.webhooks import deliver_webhook
from tests.support import skip_or_fail
from tests.webhooks.test_signing import snippet
from tests.webhooks.test_stringify import DATA, KEYS

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#: What Express' `express.json()` does to a request, and then the guide's `verify`.
SERVER = """
const server = require('http').createServer((req, res) => {
  const parts = [];
  req.on('data', (part) => parts.push(part));
  req.on('end', () => {
    const raw = Buffer.concat(parts);
    req.body = JSON.parse(raw.toString('utf8'));
    const key = Buffer.from(SECRET.substring(6), 'base64');
    const signed = `${req.headers['webhook-id']}.${req.headers['webhook-timestamp']}.`;
    const standard = 'v1,' + crypto.createHmac('sha256', key)
      .update(signed).update(raw).digest('base64');
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify({
      own: verify(req.headers, req.body, SECRET),
      standard: req.headers['webhook-signature'] === standard,
      event: req.headers['x-webhook-event'],
    }));
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    node = shutil.which("node")
    if node is None:
        skip_or_fail("node is not installed")
    script = f"{snippet('node')}\nconst SECRET = {json.dumps(SECRET)};\n{SERVER}"
    process = subprocess.Popen(
        [node, "-e", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield f"http://127.0.0.1:{process.stdout.readline().strip()}/hook"
    process.communicate(timeout=10)


def send(url: str, payload: Any, secret: str) -> Answer:
    # As a job has it: checked and stored when added, checked again when it runs.
    public = "https://endpoint.example/hook"
    stored = deliver_webhook.data_of({"url": public, "payload": payload, "eventType": "a.b"})
    call = deliver_webhook.model_of(json.loads(json.dumps(stored)))
    body = stringify(call.payload)
    headers = signing.headers(
        message="msg_1", event=call.event_type, timestamp=int(time.time()), body=body, secret=secret
    )
    until = time.monotonic() + 10
    return post(parse_url(url), headers, body, deadline=until, allow_private=True)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(KEYS, DATA, max_size=6))
@example({"event": "incident.created", "data": {"10": 1.0, "9": 1e21, "é": "\ud800", "n": -0.0}})
def test_both_signatures_hold(endpoint: str, payload: Any) -> None:
    answer = send(endpoint, payload, SECRET)
    assert json.loads(answer.body) == {"own": True, "standard": True, "event": "a.b"}


def test_another_secret_does_not(endpoint: str) -> None:
    answer = send(endpoint, {"a": 1}, "another")
    assert json.loads(answer.body) == {"own": False, "standard": False, "event": "a.b"}
