"""/docs needs no other host, and its policy allows none."""

from __future__ import annotations

import re

from tests.http.conftest import Shim


def test_the_page_loads_everything_from_the_shim(shim: Shim) -> None:
    page = shim.client.get("/docs")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert loaded
    for address in loaded:
        assert address.startswith(("/", "data:")), address
        assert not address.startswith("//")
        if address.startswith("/"):
            got = shim.client.get(address)
            assert got.status_code == 200, address
            assert len(got.content) > 100
    # The page has no inline script: the policy would block it.
    assert re.findall(r"<script(?![^>]*\bsrc=)", page.text) == []
    assert "swagger-ui.js" in page.text
    assert "http" not in shim.client.get("/docs/docs.js").text.replace("the HTTP API", "")
    for name in ("app.py", "..%2fdocs_page.py", "redoc.standalone.js"):
        refused = shim.client.get(f"/docs/{name}")
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
