"""Read and check environment variables.

Imports only the standard library and this package's leaf modules, as ``hsejobs.settings`` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from hsejobs.errors import SettingsError
from hsejobs.rates import MEANS, UNLIMITED, Rate, parse_rate
from hsejobs.redis_url import check_redis_url

_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
)

#: An application's release, and what it may be.
RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
RELEASE_MEANS = "1 to 64 letters, digits or . _ + -, such as 1.4.2 or 2026-11-26.1"

#: The URL schemes of object stores.
OBJECT_SCHEMES = ("s3", "gs", "az")


class EnvironReader:
    """Reads one variable at a time from an environment, and checks it.

    An empty variable counts as not set. Each method raises SettingsError, whose message names the
    variable and never repeats its value.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def text(self, name: str) -> str | None:
        value = self._env.get(name, "").strip()
        if "\0" in value:
            raise SettingsError(name, "must not contain a null character")
        return value or None

    def module(self, name: str) -> str | None:
        """A module name in the form that ``import`` takes."""
        value = self.text(name)
        if value is not None and not all(part.isidentifier() for part in value.split(".")):
            raise SettingsError(name, "must be a module name as in `import`, such as shop.jobs")
        return value

    def optional_integer(self, name: str, low: int, high: int) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        # The pattern also limits the length: int() raises for very long texts.
        if not re.fullmatch(r"[0-9]{1,18}", value) or not low <= int(value) <= high:
            raise SettingsError(name, f"must be a whole number from {low} to {high}")
        return int(value)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.optional_integer(name, low, high)
        return default if value is None else value

    def limit(self, name: str, default: int, high: int) -> int | None:
        """A number from 0 to *high*, or None for ``off``."""
        if (self.text(name) or "").casefold() == "off":
            return None
        try:
            return self.integer(name, default, 0, high)
        except SettingsError:
            raise SettingsError(name, f"must be a whole number from 0 to {high}, or off") from None

    def most(self, name: str, high: int) -> int | None:
        """A number from 1 to *high*, 0 for ``none``; None if not set."""
        value = self.text(name)
        if value is None or value.casefold() == "none":
            return None if value is None else 0
        try:
            return self.optional_integer(name, 1, high)
        except SettingsError:
            raise SettingsError(name, f"must be a whole number from 1 to {high}, or none") from None

    def rate(self, name: str) -> Rate | None:
        """A rate such as 50/s, or UNLIMITED for ``none``; None if not set."""
        value = self.text(name)
        if value is None or value.casefold() == "none":
            return None if value is None else UNLIMITED
        try:
            return parse_rate(value)
        except ValueError:
            raise SettingsError(name, f"{MEANS}; or none") from None

    def networks(self, name: str) -> tuple[str, ...]:
        """IP addresses and networks, comma-separated."""
        import ipaddress

        words = (self.text(name) or "").split(",")
        try:
            found = [
                str(ipaddress.ip_network(word.strip(), False)) for word in words if words != [""]
            ]
        except ValueError:
            problem = "must be IP addresses or networks, comma-separated, such as 10.0.0.0/8, ::1"
            raise SettingsError(name, problem) from None
        return tuple(dict.fromkeys(found))

    def choice(self, name: str, *allowed: str) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        for word in allowed:
            if value.casefold() == word.casefold():
                return word
        raise SettingsError(name, f"must be one of {', '.join(allowed[:-1])} or {allowed[-1]}")

    def optional_flag(self, name: str) -> bool | None:
        return None if self.text(name) is None else self.flag(name)

    def flag(self, name: str) -> bool:
        word = self.choice(name, "1", "0", "true", "false", "yes", "no", "on", "off")
        return word in ("1", "true", "yes", "on")

    def prefix(self, name: str, default: str) -> str:
        value = self.text(name) or default
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,40}", value):
            raise SettingsError(
                name, "must be 1 to 40 letters, digits, dots, hyphens or underscores"
            )
        return value

    def host(self, name: str) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        value = value.removeprefix("[").removesuffix("]")
        if not re.fullmatch(r"[A-Za-z0-9._:%-]{1,255}", value):
            raise SettingsError(
                name, "must be a host name or an address, without a scheme or a path"
            )
        return value

    def redis_url(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None:
            try:
                check_redis_url(value)
            except ValueError as error:
                raise SettingsError(name, str(error)) from None
        return value

    def url(self, name: str, *schemes: str) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        scheme = re.match(r"([a-z][a-z0-9+.-]*)://", value)
        if scheme is None or re.search(r"\s", value):
            raise SettingsError(name, "must be a URL with a scheme, such as scheme://host/path")
        if schemes and scheme[1] not in schemes:
            wanted = " or ".join(f"{known}://" for known in schemes)
            raise SettingsError(name, f"must begin with {wanted}")
        if schemes:
            _check_host(name, value)
        return value

    def artifacts_url(self, name: str) -> str | None:
        value = self.url(name)
        if value is None:
            return None
        scheme, _, rest = value.partition("://")
        if scheme not in (*OBJECT_SCHEMES, "file"):
            wanted = ", ".join(f"{known}://" for known in OBJECT_SCHEMES)
            raise SettingsError(name, f"must begin with {wanted} or file://")
        if re.search(r"[?#@]", rest):
            raise SettingsError(
                name,
                "must not contain a user, query or fragment; set credentials in the environment",
            )
        if scheme == "file" and not re.match(r"/.", rest):
            raise SettingsError(name, "must name an absolute folder, such as file:///srv/artifacts")
        if scheme != "file" and not re.match(r"[^/]", rest):
            raise SettingsError(name, f"must name a bucket, such as {scheme}://bucket/folder")
        return value

    def public_url(self, name: str) -> str | None:
        value = self.url(name, "http", "https")
        if value is not None and re.search(r"[?#@]", value):
            raise SettingsError(name, "must not contain a user, query or fragment")
        return value and value.rstrip("/")

    def keys(self, name: str, least: int) -> tuple[str, ...]:
        """Keys of at least *least* bytes, comma-separated: the first one writes, all of them read.

        The whole value is one more key that reads: in 0.1.0 it was the only key, commas included.
        """
        value = self.text(name)
        if value is None:
            return ()
        found = [word.strip() for word in value.split(",")]
        for number, word in enumerate(found, 1):
            if len(word.encode("utf-8", "surrogateescape")) < least:
                if len(found) == 1:
                    raise SettingsError(name, f"must be at least {least} bytes long")
                size = f"at least {least} bytes long" if least > 1 else "not empty"
                problem = f"must be keys separated by commas, each {size}; key {number} is not"
                raise SettingsError(name, problem)
        return tuple(dict.fromkeys([*found, value]))

    def release(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not RELEASE.fullmatch(value):
            raise SettingsError(name, f"must be {RELEASE_MEANS}")
        return value

    def public_key(self, name: str) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        if not value.startswith("-----BEGIN "):
            try:
                value = Path(value).expanduser().read_text("ascii").strip()
            except (OSError, ValueError, RuntimeError):
                raise SettingsError(
                    name, "must be a key in PEM form or the path of a readable PEM file"
                ) from None
        # Environments that allow one line only carry a PEM with "\n" spelled out.
        value = value.replace("\\n", "\n")
        if not re.match(r"-----BEGIN ([A-Z]+ )?(PUBLIC KEY|CERTIFICATE)-----\s", value):
            raise SettingsError(
                name, "must be a public key or certificate in PEM form, not a private key"
            )
        return value

    def address(self, name: str) -> str | None:
        value = self.text(name)
        return None if value is None else self._address(name, value)

    def addresses(self, name: str) -> tuple[str, ...]:
        value = self.text(name)
        words = [] if value is None else value.split(",")
        return tuple(dict.fromkeys(self._address(name, word.strip()) for word in words))

    def _address(self, name: str, value: str) -> str:
        bare = bare_address(value)
        local, _, domain = bare.rpartition("@")
        if re.search(r"[\r\n]", value) or re.search(r"[\s@]", local) or not local:
            raise SettingsError(
                name, "must be a mail address, optionally with a name: Ann <ann@example.com>"
            )
        if not _DOMAIN.fullmatch(domain.lower()):
            raise SettingsError(name, "must have a valid domain after the @")
        return value

    def domains(self, name: str, sender: str | None) -> tuple[str, ...]:
        value = self.text(name)
        if value is None:
            return (bare_address(sender).rpartition("@")[2].lower(),) if sender else ()
        words = [word.strip().removeprefix("@").lower() for word in value.split(",")]
        if not all(_DOMAIN.fullmatch(word) for word in words):
            raise SettingsError(name, "must be domains, comma-separated")
        return tuple(dict.fromkeys(words))


def bare_address(value: str) -> str:
    """The bare address in ``Ann <ann@example.com>`` or ``ann@example.com``."""
    named = re.fullmatch(r"(?s)[^<>]*<([^<>]*)>", value)
    return named[1] if named else value


def _check_host(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        found = parts.hostname and parts.port != 0
    except ValueError:
        found = None
    if not found:
        raise SettingsError(name, "must name a host; a port, if given, must be from 1 to 65535")
