"""What people are shown of requests and events, without secrets; cheap for the many texts that hold none."""

from __future__ import annotations

import re
from typing import Final

# A generated key has a digit in a longer word; then the words beside which a password stands, and codes. The patterns
# themselves take a while to load, and most texts need none of them.
_SUSPECT: Final = re.compile(
    r"\b(?=[\w+/=~-]*[0-9])[\w+/=~-]{12,}|[A-Za-z0-9]{20,}|-----BEGIN|://[^\s/]*:|pass|secret|token|key|credential|auth|"
    r"machine|curl|pwd|(?:[0-9a-f]{2,4}[ \t:_,-]{1,2}[\r\n]{0,2}[ \t]{0,20}){7}"
    r"|(?:[0-9]{2,3}[),; ]{1,2}[^0-9]{0,8}){12}|&#x",
    re.IGNORECASE,
)


def mask_shown(text: str) -> str:
    """`text` without the secrets in it."""
    if _SUSPECT.search(text) is None:
        return text
    from policies.secrets import mask  # noqa: PLC0415 - see above

    return mask(text)
