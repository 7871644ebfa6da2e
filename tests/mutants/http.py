"""Mutants of the HTTP shim: tokens, roles, tenants."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

TOKENS = ("http/test_tokens.py",)
ROLES = ("http/test_roles.py",)


def http(what: str, name: str, old: str, new: str, tests: tuple[str, ...] = TOKENS) -> Mutant:
    return Mutant(what, f"hsejobs_http/{name}.py", old, new, tests)


MUTANTS = (
    http("a token that has no end is good", "tokens", '"require": ["exp"]', '"require": []'),
    http(
        "the key of another algorithm is taken",
        "tokens",
        "*others, last = self.keys[algorithm]",
        "*others, last = next(iter(self.keys.values()))",
    ),
    http(
        "a changed last letter is the same token",
        "tokens",
        "if base64url_encode(base64url_decode(signature)).decode() != signature:",
        "if False:",
    ),
    http(
        "the audience is not looked at",
        "tokens",
        '"verify_aud": self.audience is not None',
        '"verify_aud": False',
    ),
    http(
        "a token is remembered after its end",
        "tokens",
        "if known is not None and time.time() < known[0]:",
        "if known is not None:",
    ),
    http(
        "an unknown role is a member",
        "tokens",
        "if not isinstance(role, str) or role not in ROLES:",
        "if not isinstance(role, str):",
    ),
    http(
        "a member needs no organization",
        "tokens",
        'if organization is None and (given is not None or role != "operator"):',
        "if False:",
    ),
    http(
        "two Authorization headers are one",
        "tokens",
        "if len(found) != len(set(found)):",
        "if False:",
        ("http/test_refusals.py",),
    ),
    http(
        "an admin sees all tenants",
        "tokens",
        'return None if self.role == "operator" else self.organization_id',
        'return None if self.role != "member" else self.organization_id',
        ROLES,
    ),
    http("every role is enough", "state", "if who.rank < ROLES.index(role):", "if False:", ROLES),
    http(
        "a caller chooses any organization",
        "state",
        "if organization_id is not None and organization_id != who.organization_id:",
        "if False:",
        ROLES,
    ),
    http("the API needs no token", "gate", 'path.startswith("/api/jobs/")):', "False):", ROLES),
    http(
        "another site's page may log in",
        "dashboard",
        " or given.netloc not in own:",
        ":",
        ("http/test_dashboard.py::test_another_site_can_neither_log_in_nor_open_a_view",),
    ),
    http(
        "a proxy that is not ours is believed",
        "proxies",
        "not self._networks or found is None or not self.trusts(found)",
        "found is None",
        ("http/test_connections.py::test_the_log_names_the_caller_behind_trusted_proxies",),
    ),
    http(
        "the login leads wherever the form says",
        "dashboard",
        "if _PLAIN.fullmatch(path):",
        "if True:",
        ("http/test_addresses.py::test_the_login_leads_to_pages_of_the_dashboard_only",),
    ),
    http(
        "another site's form acts on the plain page",
        "plain",
        "    check_origin(shim(request), request.headers)\n",
        "",
        ("http/test_plain.py::test_other_sites_and_unknown_pages",),
    ),
    http(
        "the plain page retries what failed after it was made",
        "plain",
        ", as_of=int(text))",
        ")",
        ("http/test_plain.py::test_an_operator_pauses_and_retries_what_the_page_showed",),
    ),
    http(
        "the plain page shows every organization",
        "plain",
        "organization_id=scope(request),",
        "organization_id=None,",
        ("http/test_plain.py::test_the_role_decides",),
    ),
    http(
        "an organization takes all views",
        "seats",
        "elif len(same) >= self.share:",
        "elif False:",
        ("http/test_refusals.py::test_views_are_shared_out_fairly",),
    ),
)
