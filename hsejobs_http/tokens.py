"""Signed tokens: verifying them, the callers and roles they name, and making them."""

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
#: The longest lifetime of a token that we make: ten years; a longer one is a mistake.
LONGEST_TTL_SECONDS = 3_650 * 86_400
#: How many tokens with a verified signature are cached.
CACHED_TOKENS = 4096
NO_KEY = (
    "there is no key for tokens: set JOBS_JWT_SECRET (openssl rand -hex 32) or JOBS_JWT_PUBLIC_KEY,"
    " or run `hsejobs up` once to make a key"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller that a token names; ``organization_id`` is None for an operator without organization."""

    user_id: str
    organization_id: str | None
    role: str

    @property
    def rank(self) -> int:
        """0 for a member, 1 for an admin, 2 for an operator."""
        return ROLES.index(self.role)

    @property
    def scope(self) -> str | None:
        """The organization that reads and acts are limited to; None: all."""
        return None if self.role == "operator" else self.organization_id


def _refused(detail: str) -> Problem:
    return Problem(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


class TokenVerifier:
    """Verifies tokens with the keys in the settings. Raises SettingsError if there is no key."""

    def __init__(self, settings: Settings) -> None:
        self.audience, self.issuer = settings.jwt_audience, settings.jwt_issuer
        self.keys: dict[str, Any] = {}
        secret: str | bytes | None = settings.jwt_secret
        if secret is None and settings.jwt_public_key is None:
            secret = read_secret(settings.jobs_home)
            if secret is None:
                raise SettingsError("JOBS_JWT_SECRET", NO_KEY)
        if secret is not None:
            self.keys["HS256"] = _key_bytes(secret)
        if settings.jwt_public_key is not None:
            name, key = _public_key(settings.jwt_public_key)
            self.keys[name] = key
        self._cache: dict[str, tuple[float, Caller]] = {}

    def caller(self, token: str) -> Caller:
        """Returns the caller that the token names.

        Raises Problem: 401, or 403 for an invalid role or organization.
        """
        known = self._cache.get(token)
        if known is not None and time.time() < known[0]:
            return known[1]
        claims = self._claims(token)
        caller = _caller(claims)
        if len(self._cache) >= CACHED_TOKENS:
            self._cache.clear()
        self._cache[token] = (float(claims["exp"]) + LEEWAY_SECONDS, caller)
        return caller

    def expiry(self, token: str) -> float:
        """Returns when a token expires, in s since the epoch. Raises Problem as ``caller`` does."""
        self.caller(token)
        return self._cache[token][0] - LEEWAY_SECONDS

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
            # The last character may contain bits that are not part of the signature: a token that was
            # changed there is another token.
            signature = token.rpartition(".")[2]
            if base64url_encode(base64url_decode(signature)).decode() != signature:
                raise _refused("the token is not valid")
        except jwt.ExpiredSignatureError:
            raise _refused("the token has expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise _refused("the token is not valid") from None
        return claims


#: Headers that may occur once only: a proxy in front may have used the other one.
_ONCE = frozenset({b"authorization", b"host", b"origin"})


def check_once(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises Problem 400 if there are two Authorization, Host or Origin headers."""
    found = [name for name, _ in headers if name in _ONCE]
    if len(found) != len(set(found)):
        twice = next(name for name in found if found.count(name) > 1).decode().capitalize()
        raise Problem(400, "bad_request", f"send only one {twice} header")


def bearer(headers: dict[bytes, bytes]) -> str | None:
    """Returns the token in the Authorization header, or None."""
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
        raise Problem(403, "forbidden", f"the token's role must be one of {', '.join(ROLES)}")
    given = claims.get("organizationId")
    given = claims.get("org") if given is None else given
    organization = _identifier(given)
    if organization is None and (given is not None or role != "operator"):
        raise Problem(403, "forbidden", "the token names no organization")
    return Caller(user, organization, role)


def _identifier(value: Any) -> str | None:
    """Returns a string or number as an id, None for anything else."""
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
    """Makes a signed token. Raises SettingsError when no secret is known, InvalidOption."""
    import jwt

    if role not in ROLES:
        raise InvalidOption("role", f"must be one of {', '.join(ROLES)}")
    if organization_id is None and role != "operator":
        raise InvalidOption("org", "must be given, except for an operator")
    if not 1 <= ttl_seconds <= LONGEST_TTL_SECONDS:
        raise InvalidOption("ttl", f"must be from 1s to {LONGEST_TTL_SECONDS // 86_400}d")
    check_organization(organization_id, "org")
    check_organization(user_id, "user")
    secret: str | bytes | None = settings.jwt_secret
    if secret is None and settings.jwt_public_key is not None:
        raise SettingsError(
            "JOBS_JWT_PUBLIC_KEY", "cannot sign tokens: ask the owner of the private key"
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
    return jwt.encode(claims, _key_bytes(secret), algorithm="HS256")


def _key_bytes(secret: str | bytes) -> bytes:
    return secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogateescape")
