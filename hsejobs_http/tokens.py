"""Who calls: signed tokens, their roles, and how they are made."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hsejobs.errors import InvalidOption, SettingsError
from hsejobs.model import ROLES, check_organization
from hsejobs.secret_file import read_secret
from hsejobs.settings import Settings
from hsejobs_http.problems import Problem

LEEWAY_SECONDS = 30
#: How long a token of ours is good at most: ten years; one that never ends is a mistake.
LONGEST_TTL_SECONDS = 3_650 * 86_400
#: Tokens whose signature was checked are remembered, so many of them.
REMEMBERED = 4096
NO_KEY = (
    "no key for tokens: set JOBS_JWT_SECRET (openssl rand -hex 32) or JOBS_JWT_PUBLIC_KEY,"
    " or let `hsejobs up` make a key once"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller as its token says: ``organization_id`` is None for an operator of no organization."""

    user_id: str
    organization_id: str | None
    role: str

    @property
    def rank(self) -> int:
        """0 member, 1 admin, 2 operator."""
        return ROLES.index(self.role)

    @property
    def scope(self) -> str | None:
        """The organization that reads and acts are confined to; None: all."""
        return None if self.role == "operator" else self.organization_id


def _refused(detail: str) -> Problem:
    return Problem(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


class TokenVerifier:
    """Checks tokens by the settings' keys. Raises SettingsError when there is no key."""

    def __init__(self, settings: Settings) -> None:
        self.audience, self.issuer = settings.jwt_audience, settings.jwt_issuer
        self.keys: dict[str, Any] = {}
        secret: str | bytes | None = settings.jwt_secret
        if secret is None and settings.jwt_public_key is None:
            secret = read_secret(settings.jobs_home)
            if secret is None:
                raise SettingsError("JOBS_JWT_SECRET", NO_KEY)
        if secret is not None:
            self.keys["HS256"] = _raw(secret)
        if settings.jwt_public_key is not None:
            name, key = _public_key(settings.jwt_public_key)
            self.keys[name] = key
        self._seen: dict[str, tuple[float, Caller]] = {}

    def caller(self, token: str) -> Caller:
        """Who the token says the caller is. Raises Problem: 401, or 403 for what it may not be."""
        known = self._seen.get(token)
        if known is not None and time.time() < known[0]:
            return known[1]
        claims = self._claims(token)
        caller = _caller(claims)
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen[token] = (float(claims["exp"]) + LEEWAY_SECONDS, caller)
        return caller

    def expiry(self, token: str) -> float:
        """When a token ends, in s since the epoch. Raises Problem as ``caller`` does."""
        self.caller(token)
        return self._seen[token][0] - LEEWAY_SECONDS

    def _claims(self, token: str) -> dict[str, Any]:
        import jwt
        from jwt.utils import base64url_decode, base64url_encode

        try:
            algorithm = jwt.get_unverified_header(token).get("alg")
            # Each algorithm has its own key: a public key is never taken for a secret.
            if not isinstance(algorithm, str) or algorithm not in self.keys:
                raise _refused("the token's algorithm is not accepted here")
            claims: dict[str, Any] = jwt.decode(
                token,
                self.keys[algorithm],
                algorithms=[algorithm],
                audience=self.audience,
                issuer=self.issuer,
                leeway=LEEWAY_SECONDS,
                options={
                    "require": ["exp"],
                    "verify_sub": False,
                    "verify_jti": False,
                    "verify_aud": self.audience is not None,
                    "verify_iss": self.issuer is not None,
                },
            )
            float(claims["exp"])
            # The last letter may hold bits that are no part of the signature: a token that was
            # changed there is another token.
            signature = token.rpartition(".")[2]
            if base64url_encode(base64url_decode(signature)).decode() != signature:
                raise _refused("the token is not valid")
        except jwt.ExpiredSignatureError:
            raise _refused("the token has expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise _refused("the token is not valid") from None
        return claims


#: Headers of which two would be two wishes: nobody can know which one a proxy before us obeyed.
_ONCE = frozenset({b"authorization", b"host", b"origin"})


def check_once(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises Problem 400 for two Authorization, Host or Origin headers."""
    found = [name for name, _ in headers if name in _ONCE]
    if len(found) != len(set(found)):
        twice = next(name for name in found if found.count(name) > 1).decode().capitalize()
        raise Problem(400, "bad_request", f"send one {twice} header; this request has more")


def bearer(headers: dict[bytes, bytes]) -> str | None:
    """The token of an Authorization header; None without one."""
    kind, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip().decode("latin-1") if kind.lower() == b"bearer" else None


def _caller(claims: dict[str, Any]) -> Caller:
    user = _identifier(claims.get("sub"))
    if user is None:
        raise _refused("the token names no user (sub)")
    role = claims.get("role")
    if role is None:
        role = "member"
    if not isinstance(role, str) or role not in ROLES:
        raise Problem(403, "forbidden", "the token's role is unknown here")
    given = claims.get("organizationId")
    given = claims.get("org") if given is None else given
    organization = _identifier(given)
    if organization is None and (given is not None or role != "operator"):
        raise Problem(403, "forbidden", "the token names no organization")
    return Caller(user, organization, role)


def _identifier(value: Any) -> str | None:
    """Text or a number as an id, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        return check_organization(str(value))
    except (InvalidOption, ValueError):
        return None


def _public_key(pem: str) -> tuple[str, Any]:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    key: Any
    try:
        if "CERTIFICATE" in pem.partition("\n")[0]:
            key = load_pem_x509_certificate(pem.encode()).public_key()
        else:
            key = load_pem_public_key(pem.encode())
    except Exception:
        raise SettingsError("JOBS_JWT_PUBLIC_KEY", "must be a public key in PEM") from None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
        return "RS256", key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1":
        return "ES256", key
    raise SettingsError("JOBS_JWT_PUBLIC_KEY", "must be RSA of 2048 bits or more, or P-256")


def make_token(
    settings: Settings, organization_id: str | None, user_id: str, role: str, ttl_seconds: float
) -> str:
    """A signed token. Raises SettingsError when no secret is known, InvalidOption."""
    import jwt

    if role not in ROLES:
        raise InvalidOption("role", f"use {', '.join(ROLES)}")
    if organization_id is None and role != "operator":
        raise InvalidOption("org", "name the organization; only an operator needs none")
    if not 1 <= ttl_seconds <= LONGEST_TTL_SECONDS:
        raise InvalidOption("ttl", f"use a time from 1s to {LONGEST_TTL_SECONDS // 86_400}d")
    check_organization(organization_id, "org")
    check_organization(user_id, "user")
    secret: str | bytes | None = settings.jwt_secret
    if secret is None and settings.jwt_public_key is not None:
        raise SettingsError(
            "JOBS_JWT_PUBLIC_KEY", "only a public key is known here: whoever has its pair signs"
        )
    if secret is None:
        secret = read_secret(settings.jobs_home)
    if secret is None:
        raise SettingsError("JOBS_JWT_SECRET", NO_KEY)
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": user_id,
        "role": role,
        "iat": now,
        "exp": now + int(ttl_seconds),
    }
    if organization_id is not None:
        claims["organizationId"] = organization_id
    if settings.jwt_audience is not None:
        claims["aud"] = settings.jwt_audience
    if settings.jwt_issuer is not None:
        claims["iss"] = settings.jwt_issuer
    return jwt.encode(claims, _raw(secret), algorithm="HS256")


def _raw(secret: str | bytes) -> bytes:
    return secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogateescape")
