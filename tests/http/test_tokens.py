"""Tokens: each algorithm has its own key, and only a token signed with it is accepted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from hsejobs.errors import SettingsError
from hsejobs.settings import load_settings
from hsejobs_http.problems import Problem
from hsejobs_http.tokens import CACHED_TOKENS, LEEWAY_SECONDS, TokenVerifier, make_token
from tests.http.conftest import FAR, SECRET

RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
GOOD = {"sub": "ann", "organizationId": "org-1", "exp": FAR}


def pem(key: Any) -> str:
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return str(public.decode())


def verifier(**env: str) -> TokenVerifier:
    return TokenVerifier(load_settings(env or {"JOBS_JWT_SECRET": SECRET}))


def status(checker: TokenVerifier, token: str) -> int:
    """Returns 200, or the status of the refusal, which a second request must get too."""
    for _ in range(2):
        try:
            checker.caller(token)
        except Problem as problem:
            found = problem.status
        else:
            found = 200
    return found


def part(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def by_hand(header: Any, claims: Any, key: bytes = b"") -> str:
    """Makes a token that no library would make."""
    body = f"{part(header)}.{part(claims)}"
    return f"{body}.{part(hmac.new(key, body.encode(), hashlib.sha256).digest() if key else b'')}"


@pytest.mark.parametrize(("key", "name"), [(RSA, "RS256"), (EC, "ES256")])
def test_public_keys(key: Any, name: str, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(pem(key))
    for given in (pem(key), str(tmp_path / "key.pem")):
        checker = verifier(JOBS_JWT_PUBLIC_KEY=given)
        token = jwt.encode({**GOOD, "role": "admin"}, key, algorithm=name)
        found = checker.caller(token)
        assert (found.user_id, found.organization_id, found.role) == ("ann", "org-1", "admin")
        # Signed with the public key as an HMAC secret: the classic attack.
        assert status(checker, by_hand({"alg": "HS256"}, GOOD, pem(key).encode())) == 401
        assert status(checker, by_hand({"alg": name}, GOOD, pem(key).encode())) == 401
        assert status(checker, by_hand({"alg": "none"}, GOOD)) == 401
        head, body, signature = token.split(".")
        assert status(checker, f"{head}.{body}.") == 401
        changed = part({**GOOD, "role": "operator"})
        assert status(checker, f"{head}.{changed}.{signature}") == 401


def test_another_key_or_algorithm() -> None:
    checker = verifier(JOBS_JWT_PUBLIC_KEY=pem(RSA))
    assert status(checker, jwt.encode(GOOD, OTHER_RSA, algorithm="RS256")) == 401
    for name in ("RS384", "RS512", "PS256"):
        assert status(checker, jwt.encode(GOOD, RSA, algorithm=name)) == 401
    assert status(checker, jwt.encode(GOOD, SECRET, algorithm="HS256")) == 401
    assert status(verifier(), jwt.encode(GOOD, SECRET * 2, algorithm="HS512")) == 401
    assert status(verifier(), jwt.encode(GOOD, "f" * 32, algorithm="HS256")) == 401
    # Keys inside the token are ignored.
    for extra in (
        {"jwk": {"kty": "oct", "k": part(b"k" * 32)}},
        {"jku": "http://x"},
        {"kid": "../x"},
    ):
        token = by_hand({"alg": "HS256", **extra}, GOOD, b"k" * 32)
        assert status(verifier(), token) == 401


def test_every_character_of_a_token_counts() -> None:
    checker = verifier()
    good = jwt.encode(GOOD, SECRET, algorithm="HS256")
    # The four last characters that decode to the same bytes, and padding.
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=":
        for changed in (good[:-1] + last, good + last):
            assert status(checker, changed) == (200 if changed == good else 401)


def test_both_keys_at_once() -> None:
    checker = verifier(JOBS_JWT_SECRET=SECRET, JOBS_JWT_PUBLIC_KEY=pem(EC))
    assert status(checker, jwt.encode(GOOD, SECRET, algorithm="HS256")) == 200
    assert status(checker, jwt.encode(GOOD, EC, algorithm="ES256")) == 200
    assert status(checker, by_hand({"alg": "HS256"}, GOOD, pem(EC).encode())) == 401


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "x" * 20_000,
        part({"alg": "HS256"}) + "..",
        "\N{SNOWMAN}" * 9,
        by_hand({}, GOOD, SECRET.encode()),
        by_hand({"alg": ["HS256"]}, GOOD, SECRET.encode()),
        by_hand({"alg": None}, GOOD),
        by_hand([], GOOD, SECRET.encode()),
        by_hand({"alg": "None"}, GOOD),
        by_hand({"alg": "nOnE"}, GOOD),
        by_hand({"alg": "HS256", "crit": ["x"], "x": 1}, GOOD, SECRET.encode()),
        by_hand({"alg": "HS256"}, [1], SECRET.encode()),
        by_hand({"alg": "HS256"}, b"{" * 5000, SECRET.encode()),
        by_hand({"alg": "HS256"}, b"[" * 50_000, SECRET.encode()),
    ],
)
def test_malformed_tokens(token: str) -> None:
    assert status(verifier(), token) == 401


@pytest.mark.parametrize(
    ("claims", "wanted"),
    [
        ({"exp": None}, 401),
        ({"exp": "soon"}, 401),
        ({"exp": 1}, 401),
        ({"exp": 1e400}, 401),
        ({"exp": [FAR]}, 401),
        ({"exp": str(FAR)}, 200),
        ({"nbf": FAR}, 401),
        ({"iat": FAR}, 401),
        ({"sub": None}, 401),
        ({"sub": ""}, 401),
        ({"sub": 7}, 200),
        ({"sub": True}, 401),
        ({"sub": ["ann"]}, 401),
        ({"sub": "a\0b"}, 401),
        ({"sub": "x" * 5000}, 401),
        ({"organizationId": None}, 403),
        ({"organizationId": ""}, 403),
        ({"organizationId": {"a": 1}}, 403),
        ({"organizationId": None, "org": 9}, 200),
        ({"organizationId": "\ud800"}, 403),
        ({"organizationId": "a\nb"}, 403),
        ({"role": "root"}, 403),
        ({"role": ""}, 403),
        ({"role": ["admin"]}, 403),
        ({"role": 1}, 403),
        ({"role": None}, 200),
        ({"role": "operator", "organizationId": None}, 200),
        ({"role": "operator", "organizationId": ""}, 403),
        ({"aud": "anyone", "iss": "anybody", "jti": 7}, 200),
    ],
)
def test_claims(claims: dict[str, Any], wanted: int) -> None:
    all_of_them = {name: one for name, one in {**GOOD, **claims}.items() if one is not None}
    token = by_hand({"alg": "HS256"}, all_of_them, SECRET.encode())
    assert status(verifier(), token) == wanted


def test_audience_and_issuer() -> None:
    checker = verifier(JOBS_JWT_SECRET=SECRET, JOBS_JWT_AUDIENCE="jobs", JOBS_JWT_ISSUER="platform")
    for claims, wanted in (
        ({"aud": "jobs", "iss": "platform"}, 200),
        ({"aud": ["x", "jobs"], "iss": "platform"}, 200),
        ({}, 401),
        ({"aud": "jobs"}, 401),
        ({"iss": "platform"}, 401),
        ({"aud": "other", "iss": "platform"}, 401),
        ({"aud": "jobs", "iss": "other"}, 401),
        ({"aud": "jobs", "iss": ["platform"]}, 401),
        ({"aud": {"jobs": 1}, "iss": "platform"}, 401),
    ):
        assert status(checker, jwt_of({**GOOD, **claims})) == wanted, claims


def jwt_of(claims: dict[str, Any]) -> str:
    return by_hand({"alg": "HS256"}, claims, SECRET.encode())


def test_a_cached_token_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    checker, now = verifier(), time.time()
    token = jwt_of({**GOOD, "exp": int(now) + 60})
    assert status(checker, token) == 200
    assert status(checker, jwt_of({**GOOD, "exp": int(now) - LEEWAY_SECONDS + 5})) == 200
    assert status(checker, jwt_of({**GOOD, "exp": int(now) - LEEWAY_SECONDS - 5})) == 401
    import time_machine

    with time_machine.travel(now + 60 + LEEWAY_SECONDS + 5):
        assert status(checker, token) == 401


def test_memory_stays_bounded() -> None:
    checker = verifier()
    for n in range(CACHED_TOKENS + 10):
        checker.caller(jwt_of({**GOOD, "sub": f"u{n}"}))
    assert len(checker._cache) <= CACHED_TOKENS


def test_invalid_public_keys(tmp_path: Path) -> None:
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that it is refused is the test
    for key in (
        small,
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ):
        with pytest.raises(SettingsError, match="JOBS_JWT_PUBLIC_KEY"):
            verifier(JOBS_JWT_PUBLIC_KEY=pem(key))
    with pytest.raises(SettingsError, match="openssl rand"):
        verifier(JOBS_HOME=str(tmp_path))


def test_a_token_that_was_made_is_valid() -> None:
    settings = load_settings(
        {"JOBS_JWT_SECRET": SECRET, "JOBS_JWT_AUDIENCE": "jobs", "JOBS_JWT_ISSUER": "platform"}
    )
    found = TokenVerifier(settings).caller(make_token(settings, "org-1", "ann", "admin", 60))
    assert (found.user_id, found.organization_id, found.role) == ("ann", "org-1", "admin")
    with pytest.raises(SettingsError, match="cannot sign"):
        make_token(load_settings({"JOBS_JWT_PUBLIC_KEY": pem(RSA)}), "o", "u", "member", 60)


def test_all_keys_verify_and_the_first_signs() -> None:
    older, newer = "o" * 32, "n" * 32
    signed = make_token(load_settings({"JOBS_JWT_SECRET": older}), "org", "ann", "member", 60)
    both = load_settings({"JOBS_JWT_SECRET": f"{newer}, {older}"})
    assert TokenVerifier(both).caller(signed).user_id == "ann"
    fresh = make_token(both, "org", "ann", "member", 60)
    assert TokenVerifier(load_settings({"JOBS_JWT_SECRET": newer})).caller(fresh).user_id == "ann"
    for secret in (newer, f"{newer},{'x' * 32}"):
        with pytest.raises(Problem):
            TokenVerifier(load_settings({"JOBS_JWT_SECRET": secret})).caller(signed)


def test_a_secret_with_a_comma_of_0_1_0_still_verifies() -> None:
    whole = f"{'a' * 40},{'b' * 40}"
    signed = jwt.encode({"sub": "ann", "org": "o", "exp": time.time() + 60}, whole, "HS256")
    checker = TokenVerifier(load_settings({"JOBS_JWT_SECRET": whole}))
    assert checker.caller(signed).user_id == "ann"
