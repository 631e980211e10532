"""Recognises files of secrets by name; models never read them, and displayed diffs leave them out."""

from __future__ import annotations

import re
from typing import Final

_NAMES: Final = re.compile(
    r"""
    \.env(rc|\..+)? (?<!\.example) (?<!\.sample) (?<!\.template) (?<!\.dist)
    | .+\.(pem|key|p12|pfx|pkcs12|jks|keystore|kdbx|ppk|asc|gpg)
    | id_(rsa|dsa|ecdsa|ed25519)[^.]*
    | \.(netrc|npmrc|pypirc|htpasswd|pgpass|git-credentials|dockercfg|vault[-_]pass.*)
    | credentials(\.(json|ya?ml|toml|ini))? | secrets?\.(json|ya?ml|toml|ini|env)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FOLDERS: Final = re.compile(r"(^|/)\.(ssh|gnupg|aws|azure|kube|docker)/", re.IGNORECASE)


def is_secret_file(path: str) -> bool:
    """Whether a file name indicates secrets: ``.env``, ``*.pem``, ``id_rsa``, ``.ssh/`` and similar."""
    return bool(_NAMES.fullmatch(path.rpartition("/")[2]) or _FOLDERS.search(path))
