"""A certificate authority for the tests, and its certificates for loopback servers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Self

from tests.support import skip_or_fail

#: The subject alternative names of a server on the loopback interface.
_SERVER = "subjectAltName=DNS:localhost,IP:127.0.0.1"


#: The name contains the process id, so that folders of killed processes can be recognized.
_SHORT = re.compile(r"hj-(\d+)-\w+")


def short_folder() -> Path:
    """A new private folder with a path short enough for unix sockets."""
    remove_left_folders()
    return Path(tempfile.mkdtemp(prefix=f"hj-{os.getpid()}-", dir="/tmp"))


@cache
def remove_left_folders() -> None:
    """Removes folders left behind by killed test processes; runs once per process."""
    for folder in Path("/tmp").glob("hj-*"):
        match = _SHORT.fullmatch(folder.name)
        if match and not Path("/proc", match[1]).exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


class Certificates:
    """``ca`` signed ``certificate`` (of ``key``), for localhost and 127.0.0.1.

    ``stranger`` is an authority that signed nothing here, ``elsewhere`` a certificate of ``ca``
    (of ``key``) for another host.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca, self.stranger = folder / "ca.pem", folder / "stranger.pem"
        self.key, self.other_key = folder / "key.pem", folder / "other.pem"
        self.encrypted_key = folder / "encrypted.pem"
        self.certificate, self.elsewhere = folder / "cert.pem", folder / "elsewhere.pem"

    @property
    def query(self) -> str:
        """URL options with which a client trusts ``ca`` and presents ``certificate``."""
        return f"ssl_ca_certs={self.ca}&ssl_certfile={self.certificate}&ssl_keyfile={self.key}"

    @classmethod
    @cache
    def shared(cls) -> Self:
        """The authority of this process, in a folder below /tmp that ends with the process."""
        import atexit

        if shutil.which("openssl") is None:
            skip_or_fail("no openssl on the PATH")
        folder = short_folder()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        made = cls(folder)
        made._make()
        return made

    def _make(self) -> None:
        for ca in ("ca", "stranger"):
            _openssl(
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                f"/CN={ca}",
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
                "-keyout",
                str(self.folder / f"{ca}.key"),
                "-out",
                str(self.folder / f"{ca}.pem"),
            )
        _openssl("genrsa", "-out", str(self.key), "2048")
        _openssl("genrsa", "-out", str(self.other_key), "2048")
        _openssl(
            "rsa",
            "-in",
            str(self.key),
            "-aes128",
            "-passout",
            "pass:word",
            "-out",
            str(self.encrypted_key),
        )
        self._sign(self.certificate, _SERVER)
        self._sign(self.elsewhere, "subjectAltName=DNS:elsewhere.example")

    def _sign(self, path: Path, extension: str) -> None:
        request, extensions = self.folder / "request.pem", self.folder / "extensions"
        # Python 3.13 and newer refuse certificates that lack these.
        extensions.write_text(
            f"{extension}\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        _openssl("req", "-new", "-key", str(self.key), "-subj", "/CN=server", "-out", str(request))
        _openssl(
            "x509",
            "-req",
            "-in",
            str(request),
            "-CA",
            str(self.ca),
            "-CAkey",
            str(self.folder / "ca.key"),
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            str(extensions),
            "-out",
            str(path),
        )


def _openssl(*words: str) -> None:
    subprocess.run([shutil.which("openssl") or "openssl", *words], check=True, capture_output=True)
