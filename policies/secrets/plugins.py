"""detect-secrets, for what it knows beyond our patterns: its detectors on added lines, without its settings.

Only `analyze_string` is called: `analyze_line` may ask a vendor over the network whether a secret works, and the
scanner around it honours baselines and allow-pragmas of the scanned repository.
Its expressions are Python's and backtrack, so the work is bounded: `MAX_LINE_BYTES` a line, `MAX_BYTES` a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

MAX_BYTES: Final = 256 * 1024
MAX_LINE_BYTES: Final = 1000


@cache
def _certain() -> tuple[Any, ...]:
    """Detectors of one vendor's format. The library is imported with the first scan: it brings 70 modules along."""
    from detect_secrets.plugins.artifactory import ArtifactoryDetector  # noqa: PLC0415 - as the docstring says
    from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector  # noqa: PLC0415
    from detect_secrets.plugins.cloudant import CloudantDetector  # noqa: PLC0415
    from detect_secrets.plugins.ibm_cloud_iam import IbmCloudIamDetector  # noqa: PLC0415
    from detect_secrets.plugins.ibm_cos_hmac import IbmCosHmacDetector  # noqa: PLC0415
    from detect_secrets.plugins.softlayer import SoftlayerDetector  # noqa: PLC0415
    from detect_secrets.plugins.square_oauth import SquareOAuthDetector  # noqa: PLC0415

    return (
        ArtifactoryDetector(),
        AzureStorageKeyDetector(),
        CloudantDetector(),
        IbmCloudIamDetector(),
        IbmCosHmacDetector(),
        SoftlayerDetector(),
        SquareOAuthDetector(),
    )


@cache
def _guessing() -> tuple[Any, ...]:
    """Detectors that guess, with detect-secrets' own default limits; a lock file full of hashes meets them."""
    from detect_secrets.plugins.basic_auth import BasicAuthDetector  # noqa: PLC0415 - see `_certain`
    from detect_secrets.plugins.high_entropy_strings import (  # noqa: PLC0415
        Base64HighEntropyString,
        HexHighEntropyString,
    )
    from detect_secrets.plugins.keyword import KeywordDetector  # noqa: PLC0415

    return (BasicAuthDetector(), KeywordDetector(), Base64HighEntropyString(), HexHighEntropyString())


def detect(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, str, bytes, bool]]:
    """(line, detector, secret, certain) for every find in numbered `lines`; stops after `MAX_BYTES`."""
    left = MAX_BYTES
    for number, raw in lines:
        left -= len(raw)
        if left < 0:
            return
        if len(raw) > MAX_LINE_BYTES or not raw.strip():
            continue
        text = raw.decode("utf-8", "replace")
        for detectors, certain in ((_certain(), True), (_guessing(), False)):
            for detector in detectors:
                for secret in detector.analyze_string(text):
                    if _random_enough(detector, str(secret)):
                        yield number, str(detector.secret_type), str(secret).encode(), certain


def _random_enough(detector: Any, secret: str) -> bool:
    """The entropy limit, which `analyze_string` leaves to `analyze_line`."""
    limit = getattr(detector, "entropy_limit", None)
    return limit is None or detector.calculate_shannon_entropy(secret) > limit
