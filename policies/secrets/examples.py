"""Keys that vendors print in their public documentation: they open nothing, so they pass with a note.

The values are kept as SHA-256, so that no scanner of this repository finds them here. Only a secret that is exactly
such a value passes; with one byte more it counts.
"""

from __future__ import annotations

import hashlib
from typing import Final

_DOCUMENTED: Final = {
    "1a5d44a2dca19669d72edf4c4f1c27c4c1ca4b4408fbb17f6ce4ad452d78ddb3": "AWS's documentation",
    "cb20d34a7adda2f5d2043836051e242fd4c2b233e02c80c91fe9d5af9b100574": "AWS's documentation",
    "c6ea27c534f993d31f0aef882e3d200e7b87470c379ae79c8f9b19d3bd363dc9": "AWS's documentation",
    "78314b11be2e581549ac1c4f616563fad3fdf0c3b71678f6e2299182080e0598": "AWS's documentation",
    "e21b597ba6b9cafa59d9ebc4d65c0385f5eb3fa56abab2607fa76589ad849a33": "AWS's documentation",
    "2cafc0970149a84f3b9e62eaf169f36f59907a3b3e31f7b82e68c69cd27f7326": "Stripe's documentation",
    "f2d6ca16515033e5dce14eba840b979d27b5cbae24bb3e5bf484339667f86397": "Stripe's documentation",
    "2d1f7723aabc5c7a51fcdc2463c99b5f3fdbc57cf3134db4ac12913c35976e6f": "Stripe's documentation",
    "7f75367e7881255134e1375e723d1dea8ad5f6a4fdb79d938df1f1754a830606": "jwt.io",
    "c794fa6d20c64efb9adf980ae93af472a1679775862d421ffe55d4a57fad5b3e": "jwt.io",
    "da816f9f2c16e6c5390e7636cadc40c43551bf0bbcf8f36c65539e6633a9c5e8": "jwt.io",
    "cf4d418ed3de92d71f767db5391d5a2dacd40e1ce49e75d1137e2ecf4982d844": "RFC 7617",
    "687da00b09c83361bf3a2853b3a0c7d63ca5da870c8d3cdc20905c7aa546840a": "RFC 7617",
    "0011cc25eb4320717494d2703e8cba85743e71b500283c21c8b88147992f9059": "Azure's storage emulator",
    "900e6c2bf8ce6c14dbfdcbd6d7402e8fadd53c5464b0ffae66dce9ac06c0e061": "Azure's storage emulator",
}


def documented_in(secret: bytes) -> str:
    """Where `secret` is printed as an example; empty for any other."""
    return _DOCUMENTED.get(hashlib.sha256(secret).hexdigest(), "")
