"""Signed links to artifacts, for mails: each for one artifact, until it expires.

``<JOBS_PUBLIC_URL>/artifacts/<token>``; the token is the organization's id, the artifact's id
and the expiry, with an HMAC-SHA256 over them, both in URL-safe base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator

from hsejobs import codec
from hsejobs.errors import ArtifactNotFound
from hsejobs.secret_file import ensure_secret, read_secret
from hsejobs.services.artifacts import Artifact
from hsejobs.settings import Settings

_LABEL = b"hsejobs artifact link 1"
MAX_TOKEN_CHARS = 4096


def link_for(settings: Settings, artifact: Artifact) -> str | None:
    """Return a URL with which anyone may load the artifact; None without JOBS_PUBLIC_URL.

    The signing key is derived from the first key in JOBS_SECRET_KEY, else JOBS_JWT_SECRET, else the
    key file in JOBS_HOME, which is created if it is missing. Raises SettingsError.
    """
    if settings.public_url is None:
        return None
    key = next(_keys(settings), None) or _derived(ensure_secret(settings.jobs_home))
    body = _text(codec.dumps([artifact.organization_id, artifact.id, artifact.expires_at]))
    return f"{settings.public_url}/artifacts/{body}.{_text(_mac(key, body))}"


def verify(settings: Settings, token: str, now_ms: int) -> tuple[str, str]:
    """Return the organization and artifact id of a link's token.

    Accepts all keys that ``link_for`` may have used, so that a key set later does not break
    existing links. Raises ArtifactNotFound for an invalid signature or an expired link.
    """
    body, dot, signature = token.partition(".")
    if not dot or len(token) > MAX_TOKEN_CHARS:
        raise ArtifactNotFound("the link is not valid")
    given = _bytes(signature)
    good = False
    for key in _keys(settings):
        good |= hmac.compare_digest(_mac(key, body), given)
    # The signature is valid, so the body has the structure that link_for wrote.
    if not good:
        raise ArtifactNotFound("the link is not valid")
    organization_id, artifact_id, expires_at = codec.loads(_bytes(body))
    if expires_at <= now_ms:
        raise ArtifactNotFound("the link has expired")
    return organization_id, artifact_id


def _keys(settings: Settings) -> Iterator[bytes]:
    for secret in (*settings.secret_keys, *settings.jwt_secrets):
        yield _derived(secret.encode("utf-8", "surrogateescape"))
    kept = read_secret(settings.jobs_home)
    if kept is not None:
        yield _derived(kept)


def _derived(secret: bytes) -> bytes:
    return hmac.digest(secret, _LABEL, hashlib.sha256)


def _mac(key: bytes, body: str) -> bytes:
    return hmac.digest(key, body.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        raw = text.encode("ascii")
        data = base64.b64decode(raw + b"=" * (-len(raw) % 4), b"-_", validate=True)
    except ValueError:
        raise ArtifactNotFound("the link is not valid") from None
    # Only the canonical encoding is valid: refuse padding and unused bits.
    if _text(data) != text:
        raise ArtifactNotFound("the link is not valid")
    return data
