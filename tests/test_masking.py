"""The rules that find, mask and scrub secrets."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


#: Secret names, names that only resemble them, and the spellings that Python's IGNORECASE accepts.
NAMES = st.one_of(
    st.sampled_from(
        ["password", "Token", "pa\u017f\u017fword", "\u212aey", "api_\u212aey", "cook\u0131e"]
    ),
    st.sampled_from(
        ["a", "b", "passenger", "tokens", "key", "api_key_of_a_machine_in_the_basement"]
    ),
    st.text(max_size=3),
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6))
PAYLOADS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(NAMES, inner, max_size=4),
        st.tuples(inner, inner),
    ),
    max_leaves=12,
)
PATHS = st.lists(st.lists(st.sampled_from(["a", "b", "passenger"]), min_size=1).map(".".join))


def _secrets(
    data: Any, paths: set[tuple[str, ...]], here: tuple[str, ...] = (), *, inside: bool = False
) -> set[str]:
    """The rule itself, without any shortcut."""
    if isinstance(data, dict):
        found: set[str] = set()
        for name, value in data.items():
            there = (*here, name)
            hidden = inside or there in paths or masking._BY_NAME.fullmatch(name) is not None
            found |= _secrets(value, paths, there, inside=hidden)
        return found
    if isinstance(data, list | tuple):
        return set().union(*(_secrets(value, paths, here, inside=inside) for value in data))
    return {str(data)} if inside and type(data) in (str, int) else set()


@given(st.lists(PAYLOADS, min_size=1, max_size=4), PATHS)
def test_the_shortcut_for_payloads_without_secrets_misses_none(
    payloads: list[Any], paths: list[str]
) -> None:
    """Each payload teaches it names, which must not hide a secret of a later one."""
    fields = masking._Fields(paths)
    for data in payloads:
        secrets = _secrets(data, {tuple(path.split(".")) for path in paths})
        assert masking._found(data, paths) == secrets
        if secrets:
            assert fields.possible(data)


def test_a_payload_without_secrets_is_walked_only_as_far_as_the_shortcut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(masking._Fields, "collect", None)
    mail = {"to": ["ann@example.org"], "variables": {"name": "Ann", "seen": None}, "n": 1}
    assert secret_values(mail, ["hook.url"]) == []
    with pytest.raises(TypeError):
        secret_values({**mail, "url": "x"}, ["hook.url"])


def test_names_beyond_the_number_that_is_remembered_are_judged_too() -> None:
    fields = masking._Fields(())
    for n in range(0, 3 * masking._NAMES_KEPT, 100):
        assert not fields.possible({f"n{n + one}": one for one in range(100)})
        assert len(fields._harmless) <= masking._NAMES_KEPT
        assert fields.possible({"password": "x"})


def test_no_name_that_the_rule_knows_is_too_long_for_it() -> None:
    """`is_secret_name` does not look at longer ones."""
    _, longest = re._parser.parse(masking._BY_NAME.pattern).getwidth()
    assert longest < masking._LONGEST_NAME
