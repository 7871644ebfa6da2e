"""Mutants of the services: addresses and signatures of webhooks, recipients of mails."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

HOOKS, MAIL = "hsejobs/services/webhooks", "hsejobs/services/mail"
ADDRESS = ("webhooks/test_address.py",)
POST = ("webhooks/test_post.py",)
DELIVERY = ("services/test_mail_delivery.py",)


def hook(what: str, name: str, old: str, new: str, tests: tuple[str, ...] = ADDRESS) -> Mutant:
    return Mutant(what, f"{HOOKS}/{name}.py", old, new, tests)


def mail(what: str, name: str, old: str, new: str, tests: tuple[str, ...] = DELIVERY) -> Mutant:
    return Mutant(what, f"{MAIL}/{name}.py", old, new, tests)


MUTANTS = (
    hook(
        "a private address in a URL is called",
        "transport",
        "if not self._allow_private and not is_public(literal):",
        "if False:",
        POST,
    ),
    hook(
        "a name that leads inside is called",
        "transport",
        "if not is_public(ipaddress.ip_address(text)):",
        "if False:",
        POST,
    ),
    hook(
        "an IPv4 address inside an IPv6 one is not seen",
        "address",
        "if inner is not None:",
        "if False:",
    ),
    hook(
        "an address of NAT64 is taken for global", "address", "if address in _NAT64:", "if False:"
    ),
    hook("multicast is called", "address", "        and not address.is_multicast\n", ""),
    hook("the host's own services are called", "address", '_V4("168.63.129.16/32"),', ""),
    hook(
        "a host of numbers is a name", "address", "if _NUMBER.fullmatch(labels[-1]):", "if False:"
    ),
    hook(
        "redirects are followed", "deliver", "follow_redirects=False", "follow_redirects=True", POST
    ),
    hook(
        "an answer that drips takes all the time",
        "deliver",
        "            clock.at_most(BODY_SECONDS)\n",
        "",
        ("webhooks/test_post.py::test_an_answer_that_drips_does_not_take_all_the_time",),
    ),
    hook(
        "an endpoint may ask for a year",
        "deliver",
        "return min(float(value[:9]), LONGEST_RETRY_AFTER)",
        "return float(value[:9])",
        POST,
    ),
    hook(
        "the answer shows the secret",
        "deliver",
        "(scrub(text, [secret]) if secret else text)",
        "text",
        POST,
    ),
    hook(
        "the time is not signed",
        "signing",
        'f"{timestamp}.".encode() + body',
        "body",
        ("webhooks/test_signing.py",),
    ),
    mail(
        "who has the mail gets it again", "smtp", "if not already(recipient_key(envelope, r))]", "]"
    ),
    mail(
        "an acceptance is not recorded",
        "smtp",
        "accepted(recipient_key(envelope, recipient))",
        "pass",
    ),
    mail("a lost lease does not stop the mail", "session", "        before_data()\n", ""),
    mail(
        "a 4xx is final",
        "session",
        "elif 400 <= code <= 499:\n                outcome.deferred",
        "elif 400 <= code <= 499:\n                outcome.refused",
    ),
    mail("any certificate is trusted", "session", "if not self._server.verify:", "if True:"),
    mail(
        "a mail goes without the TLS that was asked for",
        "session",
        'if server.tls == "required" and not self.has_extn("starttls"):',
        "if False:",
    ),
    mail(
        "a password goes out without TLS",
        "session",
        "if not self._wire.is_tls and not ipaddress.ip_address(self._wire.peer).is_loopback:",
        "if False:",
    ),
    mail(
        "a reply shows the password",
        "session",
        "text = text.replace(secret, MASK)",
        "pass",
        (
            "services/test_mail_deadline.py::test_a_reply_is_shown_without_secrets",
            "services/test_mail_delivery.py",
        ),
    ),
    mail(
        "From may be of any domain",
        "message",
        "if sender.domain not in allowed:",
        "if False:",
        ("services/test_mail_message.py",),
    ),
    mail(
        "a hidden recipient is shown",
        "message",
        '(("To", to), ("Cc", cc),',
        '(("To", to), ("Cc", _addresses("cc", [*payload.cc, *payload.bcc])),',
        ("services/test_mail_message.py",),
    ),
    mail(
        "each attempt has a Message-ID of its own",
        "message",
        "<{mail_key(job_key)}@",
        "<{mail_key(job_key + str(now))}@",
        ("services/test_mail_message.py",),
    ),
    Mutant(
        "a link never expires",
        "hsejobs/services/artifacts/links.py",
        "if expires_at <= now_ms:",
        "if False:",
        ("artifacts/test_links.py",),
    ),
    Mutant(
        "a link needs no signature",
        "hsejobs/services/artifacts/links.py",
        "    if not good:\n",
        "    if False:\n",
        ("artifacts/test_links.py",),
    ),
)
