"""Invented secrets, assembled here so that no scanner of this repository finds one in its sources."""

from __future__ import annotations

_MIX = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5Z6"
_HEX = "0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2


def _t(*parts: str) -> str:
    return "".join(parts)


GITHUB = _t("gh", "p_", _MIX[:36])
GITHUB_2 = _t("gh", "p_", _MIX[4:40])
KNOWN = {
    "github-pat": GITHUB,
    "github-fine-grained-pat": _t("github", "_pat_", _MIX[:22], "_", _MIX[:40]),
    "gitlab-pat": _t("glp", "at-", _MIX[:20]),
    "slack-token": _t("xo", "xb-123456789012-", _MIX[:24]),
    "slack-webhook-url": _t("hooks.slack", ".com/services/T0000AAAA/B0000AAAA/", _MIX[:24]),
    "aws-access-token": _t("AK", "IAQ3EGHZ7KLMNOP2RX"),
    "gcp-api-key": _t("AI", "za", _MIX[:35]),
    "private-key": _t("-----BEGIN OPENSSH ", "PRIVATE KEY-----\nb3BlbnNzaC1rZXk"),
    "age-secret-key": _t("AGE-SECRET", "-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" * 2)[:74],
    "npm-access-token": _t("np", "m_", _MIX[:36]),
    "pypi-upload-token": _t("py", "pi-AgEIcHlwaS5vcmc", _MIX, _MIX),
    "jwt": _t("ey", "JhbGciOiJIUzI1NiJ9.", "ey", "JzdWIiOiIxMjM0NTY3ODkwIn0.", _MIX[:43]),
    "telegram-bot-api-token": _t("123456:", "AA", _MIX[:33]),
    "stripe-access-token": _t("sk_", "live_", _MIX[:24]),
    "sendgrid-api-token": _t("S", "G.", _MIX[:22], ".", _MIX[:43]),
    "twilio-api-key": _t("S", "K", _HEX[:32]),
    "openai-api-key": _t("sk", "-proj-", _MIX[:48]),
    "anthropic-api-key": _t("sk", "-ant-api03-", _MIX[:48]),
    "huggingface-access-token": _t("h", "f_", _MIX[:34]),
    "digitalocean-token": _t("do", "p_v1_", _HEX),
    "discord-bot-token": _t("M", _MIX[:25], ".", "Gx1y2z", ".", _MIX[:38]),
    "vault-service-token": _t("hv", "s.", _MIX[:40]),
    "azure-storage-key": _t("Account", "Key=", _MIX, _MIX[:34], "=="),
    "url-password": _t("postgres://app:", "s3cr3t-Pa55", "@db.example.com/app"),
    "generic-api-key": _t("client_", "secret: ", _MIX[:32]),
    "authorization-header": _t("Authorization: ", "Bearer ", _MIX[:40]),
    "netrc-password": _t("machine example.com login ana pass", "word s3cr3tPa55"),
}
