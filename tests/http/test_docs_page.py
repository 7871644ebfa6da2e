"""/docs is whole without any other host, and lets nothing else in."""

from __future__ import annotations

import re

from tests.http.conftest import Shim


def test_everything_that_the_page_loads_is_the_shims_own(shim: Shim) -> None:
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
    # No script stands in the page itself: the policy would not run it.
    assert re.findall(r"<script(?![^>]*\bsrc=)", page.text) == []
    assert "swagger-ui.js" in page.text
    assert "http" not in shim.client.get("/docs/docs.js").text.replace("the HTTP API", "")
    for name in ("app.py", "..%2fdocs_page.py", "redoc.standalone.js"):
        refused = shim.client.get(f"/docs/{name}")
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
