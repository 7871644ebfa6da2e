"""Redis URLs: unknown, duplicate or malformed options are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsejobs.errors import SettingsError
from hsejobs.redis_url import OPTIONS, TLS, check_redis_url, parse_redis_url, redact_url
from hsejobs.settings import load_settings
from tests.support.certificates import Certificates
from tests.support.commands import run_command

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("url", "option"),
    [
        ("redis://h?socket_timeout=1", "socket_timeout"),
        ("redis://h?protocol=3", "protocol"),
        ("rediss://h?ssl_ca_cert=/ca.pem", "ssl_ca_cert"),
        ("rediss://h?SSL_CA_CERTS=/ca.pem", "SSL_CA_CERTS"),
        ("rediss://h?ssl_cert_reqs=required&ssl_cert_reqs=none", "ssl_cert_reqs twice"),
        ("redis://h?db=1&db=1", "db twice"),
        ("rediss://h?ssl_cert_reqs=s3cr3t", "ssl_cert_reqs"),
        ("rediss://h?ssl_cert_reqs", "ssl_cert_reqs"),
        ("rediss://h?ssl_check_hostname=perhaps", "ssl_check_hostname"),
        ("rediss://h?ssl_cert_reqs=none&ssl_check_hostname=true", "ssl_check_hostname"),
        ("rediss://h?ssl_ca_certs=", "ssl_ca_certs"),
        ("rediss://h?ssl_ca_certs=/nowhere/s3cr3t.pem", "ssl_ca_certs"),
        ("rediss://h?ssl_ca_certs=%00", "ssl_ca_certs"),
        (f"rediss://h?ssl_ca_certs={__file__}", "ssl_ca_certs"),
        (f"rediss://h?ssl_certfile={__file__}", "ssl_certfile"),
        ("rediss+cluster://h?ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs"),
        ("rediss+sentinel://h/main?ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs"),
        ("rediss://h?ssl_keyfile=/key.pem", "ssl_keyfile"),
        ("redis://h?ssl_ca_certs=/ca.pem", "ssl_ca_certs"),
        ("redis+cluster://h?ssl_cert_reqs=none", "ssl_cert_reqs"),
        ("unix:///r.sock?ssl_cert_reqs=none", "ssl_cert_reqs"),
        ("redis://h?sentinel_password=s3cr3t", "sentinel_password"),
        ("rediss+cluster://h?sentinel_username=ann", "sentinel_username"),
        ("redis+sentinel://h/main?sentinel_password=", "sentinel_password"),
        # The rest of a password with an unencoded "?" must not be shown as an option name.
        ("redis://ann:12?s3cr3t=x@h", "%3F"),
        ("redis://h?s3cr3t!", "unknown option"),
        ("redis://ann:%ff@h", "UTF-8"),
        ("rediss+cluster://h/1", "database 0"),
        ("redisss://h", "rediss://"),
    ],
)
def test_the_option_is_named_and_its_value_is_not(url: str, option: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"QUEUE_REDIS_URL": url})
    message = str(caught.value)
    assert message.startswith("QUEUE_REDIS_URL: ")
    assert option in message
    assert "s3cr3t" not in message.replace(option, "")


def test_a_bad_option_ends_the_command_with_2() -> None:
    env = {"QUEUE_REDIS_URL": "rediss://127.0.0.1:1?ssl_ca_certs=/nowhere/ca.pem"}
    for words in (["stats"], ["doctor"], ["worker"], ["tui", "--once"], ["serve"]):
        done = run_command(*words, env=env, cwd=ROOT)
        assert done.returncode == 2, (words, done)
        assert len(done.stderr.splitlines()) == 1
        assert b"QUEUE_REDIS_URL" in done.stderr
        assert b"ssl_ca_certs" in done.stderr


def test_tls_in_every_form() -> None:
    made = Certificates.shared()
    query = f"ssl_ca_certs={made.ca}&ssl_certfile={made.certificate}&ssl_keyfile={made.key}"
    whole = TLS(str(made.ca), str(made.certificate), str(made.key))
    for url in ("rediss://h", "rediss+sentinel://a,b/main", "rediss+cluster://a,b"):
        assert parse_redis_url(url).tls == TLS()
        assert parse_redis_url(f"{url}?ssl_cert_reqs=none").tls == TLS(
            verify=False, check_hostname=False
        )
        assert parse_redis_url(f"{url}?ssl_check_hostname=False").tls == TLS(check_hostname=False)
        assert check_redis_url(f"{url}?{query}").tls == whole
        assert not parse_redis_url(url).scheme.startswith("rediss")
    assert parse_redis_url("redis://h").tls is None


def test_a_key_of_another_certificate_and_one_with_a_passphrase_are_refused() -> None:
    made = Certificates.shared()
    for key in (made.other_key, made.encrypted_key):
        url = f"rediss://h?ssl_certfile={made.certificate}&ssl_keyfile={key}"
        with pytest.raises(ValueError, match="ssl_keyfile"):
            check_redis_url(url)


def test_passwords_are_percent_decoded_once_wherever_they_stand() -> None:
    hard = "p%40/?#[&=+ ü\u20ac"
    coded = "p%2540%2F%3F%23%5B%26%3D%2B%20%C3%BC%E2%82%AC"
    for url in (f"redis://ann:{coded}@h", f"redis://h?username=ann&password={coded}"):
        parsed = parse_redis_url(url)
        assert (parsed.username, parsed.password) == ("ann", hard)
    parsed = parse_redis_url(
        f"redis+sentinel://h/main?sentinel_username=s&sentinel_password={coded}&password=a+b"
    )
    assert (parsed.sentinel_username, parsed.sentinel_password) == ("s", hard)
    assert parsed.password == "a+b"


def test_no_password_is_ever_shown() -> None:
    url = "rediss+sentinel://u:s3cr3t@h/main?sentinel_password=s3cr3t&password=s3cr3t&db=1"
    shown = redact_url(url)
    assert "s3cr3t" not in shown
    assert shown == ("rediss+sentinel://u:***@h/main?sentinel_password=***&password=***&db=1")
    assert "s3cr3t" not in repr(parse_redis_url(url))


def test_every_option_is_documented() -> None:
    text = (ROOT / "docs" / "redis.md").read_text()
    assert [name for name in OPTIONS if f"`{name}`" not in text] == []
