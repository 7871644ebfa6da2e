"""The dashboard in a real browser: an address per screen, back and forward, themes, selection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from hsejobs_http.dashboard import after_login
from tests.http.conftest import MAIL, Shim, token
from tests.http.test_dashboard import PAGE, PATH, cookie, press, shows, view, viewers
from tests.support import wait_until
from tests.support.chromium import Chromium, Page, chromium


@pytest.fixture(scope="module")
def _chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture
def browser(_chromium: Chromium) -> Iterator[Chromium]:
    """One browser for all tests, each with tabs of its own."""
    yield _chromium
    _chromium.close_pages()


def log_in(page: Page, text: str) -> None:
    page.run(f"document.getElementById('token').value = {text!r}")
    page.run("document.querySelector('form').submit()")


def text_of(page: Page) -> str:
    return str(page.run("document.body ? document.body.innerText : ''"))


def add(shim: Shim, name: str, org: str = "org-1") -> None:
    added = shim.ask("POST", "/email", "member", org, json={**MAIL, "jobId": name})
    assert added.status_code == 202


def test_the_screen_and_the_address_are_the_same(shim: Shim, browser: Chromium) -> None:
    add(shim, "mine")
    page = browser.page()
    job = f"{PATH}/email/jobs/org-1:mine?from=-3h"
    page.open(shim.url + job)
    log_in(page, token("admin"))
    page.shows("email / org-1:mine", "user@exam", "ORG org-1")
    page.at(job)
    assert page.run("document.title").endswith("org-1:mine - email - Jobs")
    # Moves in the terminal are entries of the browser's history; another window is the same entry.
    page.press("2")
    page.at(f"{PATH}/failures?from=-3h")
    page.press("1")
    page.at(f"{PATH}?from=-3h")
    page.press("+")
    page.at(PATH)
    for step, address in (
        ("back", f"{PATH}/failures?from=-3h"),
        ("back", job),
        ("forward", f"{PATH}/failures?from=-3h"),
    ):
        page.forget()
        page.run(f"history.{step}()")
        page.at(address)
        page.shows("email / org-1:mine" if address == job else "kinds of failures")
    page.forget()
    page.run("location.reload()")
    page.shows("kinds of failures")
    page.at(f"{PATH}/failures?from=-3h")
    # A question is not closed by the browser's back: its answer would be lost.
    page.press(":")
    page.shows("Go to job")
    page.forget()
    page.run("history.back()")
    page.shows("close this first")
    page.at(f"{PATH}/failures?from=-3h")
    _selects(page)
    assert page.errors == []


def _selects(page: Page) -> None:
    """Shift and dragging, or the button and dragging, select text; Ctrl+C copies it."""
    copied = (
        "new Promise(done => document.addEventListener('copy',"
        " e => done(e.clipboardData.getData('text/plain')), {once: true}))"
    )
    mouse = "document.querySelector('.xterm').classList.contains('enable-mouse-events')"
    for modifiers in (8, 0):
        if not modifiers:
            page.run("document.getElementById('select').click()")
            page.until(lambda: not page.run(mouse), "the mouse, for the page")
        page.drag((302, 379), (800, 379), modifiers=modifiers)
        # The mouse moves on, as it does on a person's way to the keys.
        page.ask("Input.dispatchMouseEvent", type="mouseMoved", x=820, y=390)
        page.run(f"window.copied = {copied}; 0")
        for kind in ("rawKeyDown", "keyUp"):
            page.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key="c",
                code="KeyC",
                windowsVirtualKeyCode=67,
                modifiers=2,
                commands=["copy"] if kind == "rawKeyDown" else [],
            )
        assert "all queues are searched" in page.run("window.copied"), modifiers
        page.drag((5, 300), (6, 300), modifiers=modifiers)


def test_a_phone_gets_the_plain_page_and_a_light_browser_the_light_theme(
    shim: Shim, browser: Chromium
) -> None:
    add(shim, "mine")
    phone = browser.page(390, 844)
    phone.open(f"{shim.url}{PATH}/email/jobs/org-1:mine")
    log_in(phone, token("operator", None))
    phone.at(f"{PATH}/plain/email/jobs/org-1:mine")
    assert phone.run("document.documentElement.scrollWidth") == 390
    phone.run("document.querySelector('main a').click()")
    phone.at(f"{PATH}/plain/email")
    phone.ask("Emulation.setScriptExecutionDisabled", value=True)
    phone.run("document.querySelector('main form').submit()")
    phone.until(lambda: "email is paused" in text_of(phone), "the pause")
    assert shim.ask("GET", "/stats", "operator", None).json()["email"]["isPaused"]
    wide = browser.page(scheme="light")
    wide.open(f"{shim.url}{PATH}/email?state=waiting")
    log_in(wide, token("operator", None))
    # The light background, as the terminal's colors and as the page's.
    wide.shows("org-1:mine", "48;2;255;255;255")
    assert wide.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert phone.errors == wide.errors == []


@pytest.mark.parametrize(
    ("wanted", "then"),
    [
        (f"{PATH}/email/jobs/a:b", f"{PATH}/email/jobs/a:b"),
        (f"{PATH}/queues/failures?state=failed", f"{PATH}/queues/failures?state=failed"),
        (f"{PATH}?organizationId=a%26b", f"{PATH}?organizationId=a%26b"),
        (f"{PATH}/plain/email?organizationId=x&a=b", f"{PATH}/plain/email?organizationId=x"),
        ("https://evil.example/", PATH),
        ("//evil.example", PATH),
        (f"//evil.example{PATH}", PATH),
        (f"{PATH}/../../../evil", PATH),
        (f"{PATH}//evil.example", PATH),
        (f"{PATH}@evil.example", PATH),
        (f"{PATH}\\evil", PATH),
        (f"{PATH}/plain/../../x", PATH),
        (f"{PATH}/email/jobs/a%0d%0aSet-Cookie:x", PATH),
        (f"{PATH}/logout", PATH),
        ("javascript:alert(1)", PATH),
    ],
)
def test_the_login_leads_to_pages_of_the_dashboard_only(wanted: str, then: str) -> None:
    assert after_login(wanted) == then


def test_pages_of_addresses(shim: Shim) -> None:
    who = {**PAGE, **cookie(token("admin"))}
    for path in ("/failures", "/events", "/tenants", "/no-such-queue", "/email/jobs/no-such-job"):
        done = shim.client.get(PATH + path, headers=PAGE)
        assert (done.status_code, f"value='{PATH}{path}" in done.text) == (401, True), path
        done = shim.client.get(PATH + path, headers=who)
        assert (done.status_code, "textual-terminal" in done.text) == (200, True), path
        assert "script-src 'self'" in done.headers["content-security-policy"]
        assert shim.client.get(PATH + path).status_code == 401
    for path, status, code in (
        ("/Nothing", 404, "not_found"),
        ("/email/jobs/a%2Fb", 404, "not_found"),
        ("/email?state=gone", 422, "invalid_option"),
        ("/email?where=tries%3D", 422, "invalid_option"),
        ("/email?next=x", 422, "invalid_option"),
        ("?from=never", 422, "invalid_option"),
        ("/failures?organizationId=org-2", 403, "forbidden"),
    ):
        done = shim.client.get(PATH + path, headers=who)
        assert (done.status_code, done.json()["code"]) == (status, code), path
    for wanted, then in (
        (f"{PATH}/email/jobs/a:b?from=-3h", f"{PATH}/email/jobs/a:b?from=-3h"),
        ("//evil.example", PATH),
    ):
        form = {"token": "rubbish", "next": wanted}
        # After a mistake, too.
        done = shim.client.post(f"{PATH}/login", data=form, headers={"Origin": shim.url})
        assert re.findall(r"name=next value='([^']*)'", done.text) == [then]
        form["token"] = token()
        done = shim.client.post(f"{PATH}/login", data=form, headers={"Origin": shim.url})
        assert (done.status_code, done.headers["location"]) == (303, then)


def test_an_address_that_the_session_may_not_see_is_as_one_of_nothing(shim: Shim) -> None:
    add(shim, "theirs", "org-2")
    wait_until(lambda: not viewers(shim), 20, "the end of other tests' viewers")
    gone = "No such job: it was removed or its retention ended."
    first = f"{PATH}/email/jobs/org-2:theirs"
    with view(shim, token("admin"), place=first) as socket:
        assert "user@exam" not in shows(socket, gone, f'"address": "{first}"')
        for address, expected in (
            (f"{PATH}/workers", "this session has no screen"),
            (f"{PATH}/nothing", "there is no queue 'nothing'"),
            (f"{PATH}/email?state=gone", "state: must be one of"),
            ("https://evil.example", "names no screen of the dashboard"),
        ):
            # The address becomes that of what is shown.
            socket.send(json.dumps(["place", address]))
            shows(socket, expected, f'"address": "{first}"')
        for path in ("/email/jobs/nothing", "/nothing/jobs/nothing"):
            press(socket, "5")
            shows(socket, f'"address": "{PATH}/alerts"')
            socket.send(json.dumps(["place", PATH + path]))
            shows(socket, gone, f'"address": "{PATH}{path}"')


def test_an_operator_gets_the_place_of_a_member(few: Shim, browser: Chromium) -> None:
    with view(few, token()) as first, view(few, token(user="bob")) as second:
        shows(first, "email")
        shows(second, "email")
        press(first, "5")
        refused = few.client.get(f"{PATH}/view", headers=cookie(token(user="eve")))
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_viewers")
        assert "close one" in refused.json()["detail"]
        page = browser.page()
        page.open(f"{few.url}{PATH}/email")
        log_in(page, token(user="eve"))
        page.until(lambda: "your organization has 2 views open" in text_of(page), "the reason")
        page.run("document.querySelector('.ended a:last-child').click()")
        page.at(f"{PATH}/plain/email")
        with view(few, token("operator", None)) as operator:
            shows(operator, "email")
            shows(second, "an operator needed the place")
            shows(first, "Alerts")
