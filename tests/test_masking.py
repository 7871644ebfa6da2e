"""The rules that find, mask and scrub secrets."""

from __future__ import annotations

import json

import pytest

from hsejobs import masking
from hsejobs.masking import MASK, mask, scrub, scrub_data, secret_values


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "passwd",
        "passphrase",
        "pass",
        "secret",
        "client_secret",
        "clientSecret",
        "api_key",
        "apikey",
        "access_key",
        "private_key",
        "auth",
        "authorization",
        "token",
        "access_token",
        "refresh_token",
        "bearer_token",
        "session_token",
        "id_token",
        "csrf_token",
        "credential",
        "credentials",
        "cookie",
        "signing_key",
        "pwd",
        "PassWord",
    ],
)
def test_a_secret_name_is_masked_at_any_depth(name: str) -> None:
    data = {"list": [{"deep": {name: "hunter2", "kept": "hunter3"}}]}
    assert mask(data) == {"list": [{"deep": {name: MASK, "kept": "hunter3"}}]}
    assert secret_values(data) == ["hunter2"]


@pytest.mark.parametrize("name", ["passenger", "author", "tokens", "secretary", "key", "to"])
def test_a_name_that_only_begins_so_is_not_masked(name: str) -> None:
    assert mask({name: "shown"}) == {name: "shown"}
    assert secret_values({name: "shown"}) == []


def test_a_path_of_the_model_is_masked_and_no_other() -> None:
    data = {"hook": {"sig": "abcdef", "url": "u"}, "sig": "shown"}
    assert mask(data, ["hook.sig"]) == {"hook": {"sig": MASK, "url": "u"}, "sig": "shown"}
    assert secret_values(data, ["hook.sig"]) == ["abcdef"]


def test_nothing_is_not_masked_and_what_is_sealed_is() -> None:
    assert mask({"password": None}) == {"password": None}
    assert mask({"whatever": {"$sealed": "x"}}) == {"whatever": MASK}


def test_everything_inside_a_secret_is_one() -> None:
    data = {"credentials": {"user": "ann-of-org", "codes": ["first", 123456, True]}}
    assert mask(data) == {"credentials": MASK}
    assert secret_values(data) == ["ann-of-org", "123456", "first"]


def test_too_short_for_a_secret() -> None:
    """A secret of three letters would match parts of ordinary words."""
    assert secret_values({"password": "abc"}) == []
    assert secret_values({"password": "abcd"}) == ["abcd"]


def test_a_secret_is_found_as_json_has_it() -> None:
    secret = 'quo"te\\and é'
    found = secret_values({"password": secret})
    for said in (secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
        shown = scrub(f"went in with {said}", found)
        assert "quo" not in shown
        assert MASK in shown


def test_the_longest_goes_first() -> None:
    """Otherwise the rest of a longer secret would remain."""
    found = secret_values({"password": "hunter", "token": "hunter-of-whales"})
    assert scrub("as hunter-of-whales and hunter", found) == f"as {MASK} and {MASK}"


def test_keys_and_values_are_scrubbed() -> None:
    data = {"by hunter2": ["hunter2", {"x": "a hunter2", "n": 2}]}
    assert scrub_data(data, ["hunter2"]) == {f"by {MASK}": [MASK, {"x": f"a {MASK}", "n": 2}]}
    assert scrub_data(data, []) is data


def test_too_much_is_masked_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_CHARACTERS", 10_000)
    many = [f"secret-{n}" for n in range(100)]
    assert scrub("a short text", many[:20]) == "a short text"
    assert scrub("a text of some length" * 10, many) == MASK
    assert scrub_data({"a": "text " * 50}, many) == MASK
