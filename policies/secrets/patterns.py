"""Patterns of known secrets, run by RE2 in linear time whatever the text.

The names are gitleaks' rule ids where it has the same rule (github.com/gitleaks/gitleaks, config/gitleaks.toml);
the shapes follow it and the vendors' own pages, but without its allow-lists: an example key blocks too.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import re2

MAX_CANDIDATES: Final = 20_000
MAX_SECRETS: Final = 1000
"""The most matches of a pattern in a text; more are reported as one secret."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of secret. Group 1, or the whole match, is the secret itself.

    `hints` are lower-case byte strings of which one must occur in the text, so that most patterns never run.
    A `prefixed` pattern is distinctive enough for joined and decoded text. A `guess` counts only if its secret looks
    random, a `password` only if it is not a placeholder, a `strong` one only if it has several kinds of characters too,
    a `pair` only if it is base64 of a name and a password, and a `key` only if its header has a body. A match that is
    not `certain` is reported as a guess.
    """

    name: str
    regex: str
    hints: tuple[bytes, ...]
    prefixed: bool = True
    guess: bool = False
    password: bool = False
    strong: bool = False
    pair: bool = False
    key: bool = False
    certain: bool = True

    def holds(self, secret: bytes) -> bool:
        """True if the match is a secret, judged by its characters."""
        if self.guess and not looks_random(secret):
            return False
        if (self.password or self.strong) and is_placeholder(secret):
            return False
        if self.key and not has_key_body(secret):
            return False
        return (not self.strong or is_mixed(secret)) and (not self.pair or is_pair(secret))

    def matches(self, text: bytes) -> Iterator[tuple[int, bytes]]:
        """The position and the bytes of each secret in `text`; beyond the limit, the whole text as the last."""
        group = 1 if compiled(self.regex).groups else 0
        secrets = 0
        for candidates, match in enumerate(compiled(self.regex).finditer(text), 1):
            if candidates > MAX_CANDIDATES or secrets >= MAX_SECRETS:
                yield match.start(group), flood(text)
                return
            secret = bytes(match.group(group))
            if not self.holds(secret):
                continue
            secrets += 1
            yield match.start(group), secret


def flood(text: bytes) -> bytes:
    """What stands for the secrets of a text with more matches than are listed."""
    return hashlib.sha256(text).digest()


@cache
def compiled(regex: str) -> Any:
    """An expression on bytes for RE2, compiled at its first use."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes are bytes: invalid UTF-8 hides nothing
    options.log_errors = False
    return re2.compile(regex.encode("ascii"), options)


def entropy(text: bytes) -> float:
    """Shannon entropy in bits per byte."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values()) if text else 0.0


_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_HEX_LIMITS: Final = ((64, 3.4), (48, 3.2), (40, 3.1), (32, 2.9), (24, 2.6), (20, 2.4))
"""The entropy, by number of hex digits, below which fewer than 1 in 10,000 random strings of that length are.

Fewer digits never look random: identifiers and hashes of 64 bits have 16.
"""


def looks_random(text: bytes) -> bool:
    """True if `text` has the digits, letters and spread of a generated key, and is not a placeholder.

    A sample of n symbols has less entropy than its source, so 32 random hex digits have 3.5 bits in four cases of five
    only: hex has its own limits, by length.
    """
    if not has_digits(text) or is_placeholder(text):
        return False
    if _HEX.issuperset(text):
        limit = next((limit for length, limit in _HEX_LIMITS if len(text) >= length), math.inf)
        return entropy(text) >= limit
    return entropy(text) >= 3.5


def has_digits(text: bytes) -> bool:
    """True if `text` has letters and as many digits as a generated key, unlike words."""
    digits = sum(48 <= c <= 57 for c in text)
    letters = any(65 <= c <= 90 or 97 <= c <= 122 for c in text)
    mixed = text != text.lower() and text != text.upper()
    return letters and digits >= (1 if mixed else 3)


def is_mixed(text: bytes) -> bool:
    """True if a password has letters and digits or signs, or inner capital letters, unlike a word or a path."""
    more = any(not (65 <= c <= 90 or 97 <= c <= 122 or c in b"-_./:") for c in text)
    return text.lower() != text.upper() and (
        more or (text.isalpha() and text[1:] not in {text[1:].lower(), text[1:].upper()})
    )


def is_pair(text: bytes) -> bool:
    """True if `text` is base64 of ``name:password``, as .npmrc and Docker's config.json store it."""
    try:
        plain = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True).decode("ascii")
    except ValueError:
        return False
    name, _, password = plain.partition(":")
    return bool(name) and plain.isprintable() and not is_placeholder(password.encode())


def has_key_body(text: bytes) -> bool:
    """True if base64 follows the header of a key, unlike in a program that looks for such headers."""
    runs = compiled(r"[A-Za-z0-9+/=]{12,}").findall(text)
    return any(run.startswith(b"MII") or any(48 <= c <= 57 for c in run) for run in runs)


_WORDS: Final = (
    b"password", b"passwd", b"secret", b"changeme", b"change_me", b"change-me", b"example", b"placeholder", b"your",
    b"redacted", b"0123456789abcdef", b"1234567890abcdef",
)  # fmt: skip
_SYNTAX: Final = (b"xxxx", b"****", b"....", b"<", b"${", b"{{", b"$(", b"%s", b"%(", b"#{")


def is_placeholder(text: bytes) -> bool:
    """True if `text` is a placeholder for a secret: ``${TOKEN}``, ``<password>``, ``changeme``, or is a short word.

    A short word may well be a bad password; detect-secrets' detectors warn of it.
    """
    low = text.lower()
    if text.startswith((b"$", b"%")) or any(part in low for part in _SYNTAX) or (text.isalpha() and len(text) <= 8):
        return True
    return any(part in low for part in _WORDS) and not _is_good_password(text)


def _is_good_password(text: bytes) -> bool:
    """True for small and capital letters, a digit and a sign in ten characters or more, such as ``MySecret!2024x``."""
    both = text not in {text.lower(), text.upper()}
    return len(text) >= 10 and both and any(48 <= c <= 57 for c in text) and any(c in b"!@#%^&*?~+" for c in text)


def _p(name: str, regex: str, *hints: str, **flags: bool) -> Pattern:
    return Pattern(name, regex, tuple(hint.lower().encode() for hint in hints), **flags)


_FORGES: Final = (
    _p("github-fine-grained-pat", r"github_pat_[A-Za-z0-9_]{22,255}", "github_pat_"),
    _p("gitlab-pat", r"gl(?:pat|dt|ft|rt|soat|cbt|ptt|imt|agent|oas)-[A-Za-z0-9_-]{20,64}", "glpat-", "gldt-",
       "glft-", "glrt-", "glsoat-", "glcbt-", "glptt-", "glimt-", "glagent-", "gloas-"),
    _p("npm-access-token", r"npm_[A-Za-z0-9]{36}", "npm_"),
    _p("npm-auth-pair", r"(?m)(?:^|:)[ \t]{0,3}_auth[ \t]{0,3}=[ \t]{0,3}"
       r"[\"']?([A-Za-z0-9+/]{8,400}={0,2})[\"']?[ \t\r]*$",
       "_auth", prefixed=False, pair=True),
    _p("npm-password", r":_password[ \t]{0,3}=[ \t]{0,3}[\"']?([A-Za-z0-9+/=]{8,400})", ":_password", prefixed=False,
       password=True),
    _p("docker-auth", r"\"auth\"[ \t]{0,5}:[ \t]{0,5}\"([A-Za-z0-9+/]{8,}={0,2})\"", '"auth"', prefixed=False,
       pair=True),
    _p("npm-auth-line", r"_authToken[ \t]{0,3}=[ \t]{0,3}([^\s\"'$]{16,200})", "_authtoken", prefixed=False,
       password=True),
    _p("pypi-upload-token", r"pypi-[A-Za-z0-9_-]{50,}", "pypi-"),
    _p("rubygems-api-token", r"rubygems_[a-f0-9]{48}", "rubygems_"),
    _p("dockerhub-pat", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,64}", "dckr_"),
)  # fmt: skip
_CLOUDS: Final = (
    _p("aws-access-token", r"(?:^|[^A-Za-z0-9])((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})(?:[^A-Za-z0-9]|$)", "akia",
       "asia", "abia", "acca"),
    _p("aws-secret-access-key", r"(?i)aws[a-z0-9_. -]{0,20}(?:secret|sk|key)[a-z0-9_. -]{0,20}[\"']?\s{0,5}[=:>]{1,2}"
       r"\s{0,5}[\"']?([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+]|$)", "aws", prefixed=False),
    _p("gcp-api-key", r"AIza[A-Za-z0-9_-]{35}", "aiza"),
    _p("gcp-service-account", r"\"type\"\s{0,5}:\s{0,5}\"service_account\"[\s\S]{0,400}", "service_account"),
    _p("gcp-oauth-token", r"(?:ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{28})", "ya29.", "gocspx-"),
    _p("azure-storage-key", r"AccountKey=[A-Za-z0-9+/]{40,100}={0,2}", "accountkey="),
    _p("azure-ad-client-secret", r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}", "q~", guess=True),
    _p("digitalocean-token", r"do[opr]_v1_[a-f0-9]{64}", "doo_v1_", "dop_v1_", "dor_v1_"),
    _p("databricks-api-token", r"dapi[a-f0-9]{32}", "dapi"),
    _p("vault-service-token", r"hv[sbr]\.[A-Za-z0-9_-]{24,300}", "hvs.", "hvb.", "hvr."),
    _p("doppler-api-token", r"dp\.(?:pt|st|ct|sa)\.[A-Za-z0-9_.-]{40,80}", "dp.pt.", "dp.st.", "dp.ct.", "dp.sa."),
    _p("pulumi-api-token", r"pul-[a-f0-9]{40}", "pul-"),
    _p("flyio-access-token", r"(?:fo1_[A-Za-z0-9_-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{100,})", "fo1_", "fm1", "fm2"),
    _p("tailscale-key", r"tskey-[a-z]{3,10}-[A-Za-z0-9]{8,30}-[A-Za-z0-9]{16,64}", "tskey-"),
)  # fmt: skip
_CHATS: Final = (
    _p("slack-token", r"xox[abeprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,250}", "xox"),
    _p("slack-webhook-url", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{30,100}",
       "hooks.slack.com"),
    _p("telegram-bot-api-token", r"(?:^|[^A-Za-z0-9])([0-9]{5,16}:A[A-Za-z0-9_-]{32,34})", ":a"),
    _p("discord-bot-token", r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}", ".", guess=True),
    _p("discord-webhook", r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,80}", "/api/webhooks/"),
    _p("twilio-api-key", r"(?:^|[^A-Za-z0-9])(SK[0-9a-f]{32})(?:[^A-Za-z0-9]|$)", "sk"),
    _p("sendgrid-api-token", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}", "sg."),
    _p("mailgun-private-api-token", r"(?:^|[^A-Za-z0-9])(key-[0-9a-f]{32})(?:[^A-Za-z0-9]|$)", "key-"),
    _p("mailchimp-api-key", r"(?:^|[^A-Za-z0-9])([0-9a-f]{32}-us[0-9]{1,2})(?:[^A-Za-z0-9]|$)", "-us"),
)  # fmt: skip
_MODELS: Final = (
    _p("anthropic-api-key", r"sk-ant-[a-z0-9]{3,10}-[A-Za-z0-9_-]{20,200}", "sk-ant-"),
    _p("openai-api-key", r"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,250}", "sk-proj-", "sk-svcacct-",
       "sk-admin-", "sk-none-"),
    _p("sk-api-key", r"(?:^|[^A-Za-z0-9_-])(sk-(?:or-v1-)?[A-Za-z0-9]{32,80})(?:[^A-Za-z0-9]|$)", "sk-"),
    _p("huggingface-access-token", r"(?:hf|api_org)_[A-Za-z0-9]{30,60}", "hf_", "api_org_"),
    _p("groq-api-key", r"gsk_[A-Za-z0-9]{50,60}", "gsk_"),
    _p("xai-api-key", r"xai-[A-Za-z0-9]{70,90}", "xai-"),
    _p("perplexity-api-key", r"pplx-[A-Za-z0-9]{40,60}", "pplx-"),
    _p("replicate-api-token", r"r8_[A-Za-z0-9]{37}", "r8_"),
)  # fmt: skip
_SERVICES: Final = (
    _p("stripe-access-token", r"(?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{10,200}", "sk_live_", "sk_test_", "sk_prod_",
       "rk_live_", "rk_test_", "rk_prod_"),
    _p("stripe-webhook-secret", r"whsec_[A-Za-z0-9+/]{24,100}", "whsec_"),
    _p("notion-api-token", r"ntn_[0-9]{11}[A-Za-z0-9]{35}", "ntn_"),
    _p("grafana-token", r"glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/]{32,400}", "glsa_", "glc_"),
    _p("new-relic-user-api-key", r"NRAK-[A-Za-z0-9]{27}", "nrak-"),
    _p("postman-api-token", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}", "pmak-"),
    _p("sentry-token", r"sntry(?:s_eyJ[A-Za-z0-9+/=_-]{40,400}|u_[a-f0-9]{64})", "sntrys_", "sntryu_"),
    _p("deno-access-token", r"ddo_[A-Za-z0-9]{36}", "ddo_"),
    _p("packagist-token", r"packagist_(?:ort|out|acs)_[a-f0-9]{64,96}", "packagist_"),
    _p("postman-collection-token", r"PMAT-[A-Za-z0-9]{26}", "pmat-"),
    _p("circleci-project-token", r"CCIPRJ_[A-Za-z0-9]{22}_[a-f0-9]{40}", "cciprj_"),
    _p("1password-service-account-token", r"ops_eyJ[A-Za-z0-9+/]{100,}", "ops_eyj"),
)  # fmt: skip
_KEYS: Final = (
    # The following bytes belong to the secret so that a second key in a file counts as new.
    _p("private-key", r"-----BEGIN[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----[\s\S]{0,200}", "private key", key=True),
    _p("private-key-header", r"-----BEGIN[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----", "private key", certain=False),
    _p("putty-private-key", r"PuTTY-User-Key-File-[0-9][\s\S]{0,400}", "putty-user-key-file-"),
    _p("age-secret-key", r"AGE-(?:SECRET-KEY-1|PLUGIN-[A-Z]{1,20}-1)[A-Z0-9]{40,80}", "age-secret-key-", "age-plugin-"),
    _p("jwt", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}", "eyj"),
)  # fmt: skip
# A line of a Dockerfile, a shell script, an env file or a compose list, and a name of a password variable.
_ENV_LINE: Final = (
    r"^[ \t]{0,20}(?:(?:ENV|ARG|RUN|export|set|setx|declare -x)[ \t]{1,5}(?:[^\s=]+=\S*[ \t]+)*?|-[ \t]{1,5}[\"']?)?"
)
_ENV_NAME: Final = r"(?:[A-Z0-9_]{0,60}(?:PASSWORD|PASSWD|PASSPHRASE|SECRET)|[A-Z0-9_]{1,60}_(?:PASS|PWD))"
_ENV_VALUE: Final = r"([^\s\"'`$<>(){}\[\],;]{5,200})(?:[\"'\s,;]|$)"
_URL: Final = r"[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s:/@\"'<>`]{0,100}:([^\s/@\"'<>`]{%s})@[A-Za-z0-9\[_]"
_SENTENCES: Final = (
    _p("url-password", _URL % "8,200", "://", prefixed=False, password=True),
    _p("url-short-password", _URL % "4,7", "://", prefixed=False, strong=True),
    _p("netrc-password", r"(?i)machine\s{1,5}\S{1,100}\s{1,5}login\s{1,5}\S{1,100}\s{1,5}password\s{1,5}(\S{3,200})",
       "machine", prefixed=False, strong=True),
    _p("authorization-header", r"(?i)authorization[\"']?\s{0,3}[:=,]\s{0,3}[\"']?(?:basic|bearer|token)\s{1,3}"
       r"([A-Za-z0-9._~+/=-]{16,})", "authorization", prefixed=False, guess=True),
    _p("generic-api-key", r"(?i)(?:api[_-]?key|apikey|secret|token|passwd|password|passphrase|pwd|credentials?"
       r"|(?:private|access|auth|encrypt(?:ion)?|signing|master|session|consumer|account|storage|service|app|admin|root"
       r"|shared|license|hmac|jwt|webhook)[_-]?key)(?:[_-]?(?:key|token|value|base|string|text|data|access|seed|salt)){0,3}"
       r"(?:[\"'\]]{0,2}\s{0,5}(?:=>|:=|=|:|>)\s{0,5}[\"'`]?|[\"'],\s{0,5}[\"'])([A-Za-z0-9_/+=~!@#$%^&*.-]{16,200})",
       "key", "secret", "token", "pass", "pwd", "credential", prefixed=False, guess=True),
    _p("jdbc-password", r"(?i)jdbc:[^\s\"'<>]{1,300}[?;&:,](?:password|pwd)=([^\s\"'&;<>]{3,200})", "jdbc:",
       prefixed=False, password=True),
    _p("jdbc-oracle-password", r"(?i)jdbc:oracle:[a-z0-9]{1,10}:[^\s/\"'@<>]{1,60}/([^\s/\"'@<>]{3,200})@",
       "jdbc:oracle:", prefixed=False, password=True),
    _p("connection-string-password", r"(?i)(?:server|data source|host|user id|uid|username|user|database)=[^\n;\"']+;"
       r"(?:[^\n;\"']+;)*?[ \t]{0,3}(?:password|pwd)=([^\s\"';<>]{3,200})", "password=", "pwd=",
       prefixed=False, password=True),
    _p("curl-password", r"(?i)\bcurl\b[^\n|;]{0,300}?[ \t](?:-u|--user|--proxy-user)[ \t=]{0,3}[\"']?"
       r"[^\s:\"'`$<{]{1,100}:([^\s\"'`$<{]{3,200})", "curl", prefixed=False, password=True),
    _p("command-password", r"(?i)[ \t](?:--password|--passwd|--db-password|--passphrase)(?:=|[ \t]{1,3})[\"']?"
       r"([^\s\"'`$<{(\[-][^\s\"'`$<{(\[]{5,200})", "--pass", "-password", prefixed=False, strong=True),
    _p("sshpass-password", r"\bsshpass[ \t]{1,3}-p[ \t]{0,3}[\"']?([^\s\"'`$<{]{3,200})", "sshpass", prefixed=False,
       password=True),
    _p("environment-password", rf"(?m){_ENV_LINE}{_ENV_NAME}=[\"']?{_ENV_VALUE}", "pass", "pwd", "secret",
       prefixed=False, strong=True),
    _p("docker-env-password", rf"(?m)^[ \t]{{0,8}}ENV[ \t]{{1,5}}{_ENV_NAME}[ \t]{{1,5}}[\"']?{_ENV_VALUE}", "pass",
       "pwd", "secret", prefixed=False, strong=True),
)  # fmt: skip
_GUESSES: Final = (
    _p("url-word", _URL % "3,7", "://", prefixed=False, password=True, certain=False),
    _p("environment-word", rf"(?m){_ENV_LINE}{_ENV_NAME}[ \t]{{0,3}}[=:][ \t]{{0,3}}[\"']?{_ENV_VALUE}", "pass", "pwd",
       "secret", prefixed=False, password=True, certain=False),
    _p("password-assignment", r"(?i)(?:password|passwd|passphrase)[\"']?[ \t]{0,5}[=:][ \t]{0,5}[\"']?"
       r"([^\s\"'`$<>(){}\[\],;]{6,100})(?:[\"',;]|\s|$)", "passw", "passphrase", prefixed=False, strong=True,
       certain=False),
)  # fmt: skip

VENDORS: Final = (*_FORGES, *_CLOUDS, *_CHATS, *_MODELS, *_SERVICES, *_KEYS)
SENTENCES: Final = (*_SENTENCES, *_GUESSES)
PATTERNS: Final = (*VENDORS, *SENTENCES)
