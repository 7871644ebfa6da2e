"""Links to artifacts for mails: signed, for one artifact, until it expires.

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
    """The address under which anybody who has it may load the artifact; None without JOBS_PUBLIC_URL.

    Signed with a key derived from JOBS_SECRET_KEY, else JOBS_JWT_SECRET, else the key in
    JOBS_HOME, which is made if it is missing. Raises SettingsError.
    """
    if settings.public_url is None:
        return None
    key = next(_keys(settings), None) or _derived(ensure_secret(settings.jobs_home))
    body = _text(codec.dumps([artifact.organization_id, artifact.id, artifact.expires_at]))
    return f"{settings.public_url}/artifacts/{body}.{_text(_mac(key, body))}"


def verify(settings: Settings, token: str, now_ms: int) -> tuple[str, str]:
    """Organization and artifact id of a link's token.

    Any of the keys that ``link_for`` may have used is good, so that a key set later breaks no
    link that is out. Raises ArtifactNotFound for what was not signed so, or has expired.
    """
    body, dot, signature = token.partition(".")
    if not dot or len(token) > MAX_TOKEN_CHARS:
        raise ArtifactNotFound("the link is not valid")
    given = _bytes(signature)
    good = False
    for key in _keys(settings):
        good |= hmac.compare_digest(_mac(key, body), given)
    # The signed text is ours, so it has the shape that link_for gave it.
    if not good:
        raise ArtifactNotFound("the link is not valid")
    organization_id, artifact_id, expires_at = codec.loads(_bytes(body))
    if expires_at <= now_ms:
        raise ArtifactNotFound("the link has expired")
    return organization_id, artifact_id


def _keys(settings: Settings) -> Iterator[bytes]:
    for secret in (settings.secret_key, settings.jwt_secret):
        if secret is not None:
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
    # One text a value: padding, and bits that no byte is made of, are refused.
    if _text(data) != text:
        raise ArtifactNotFound("the link is not valid")
    return data
