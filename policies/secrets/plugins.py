"""Runs the detectors of detect-secrets on added lines, in addition to our patterns and without its settings.

Only `analyze_string` is called: `analyze_line` may verify a secret with a vendor over the network, and the library's
scanner honours baselines and allow-pragmas of the scanned repository. Its expressions backtrack, so the input is
limited to `MAX_LINE_BYTES` for a line and `MAX_BYTES` for a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

MAX_BYTES: Final = 256 * 1024
MAX_LINE_BYTES: Final = 1000


@cache
def _certain() -> tuple[Any, ...]:
    """Detectors of vendors' formats, imported with the first scan because the library loads 70 modules."""
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
    """Detectors of uncertain secrets, with the library's default limits; they also match hashes in lock files."""
    from detect_secrets.plugins.basic_auth import BasicAuthDetector  # noqa: PLC0415 - see `_certain`
    from detect_secrets.plugins.high_entropy_strings import (  # noqa: PLC0415
        Base64HighEntropyString,
        HexHighEntropyString,
    )
    from detect_secrets.plugins.keyword import KeywordDetector  # noqa: PLC0415

    return (BasicAuthDetector(), KeywordDetector(), Base64HighEntropyString(), HexHighEntropyString())


def detect(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, str, bytes, bool]]:
    """(line, detector, secret, certain) for every secret in numbered `lines`; stops after `MAX_BYTES`."""
    remaining = MAX_BYTES
    for number, raw in lines:
        remaining -= len(raw)
        if remaining < 0:
            return
        if len(raw) > MAX_LINE_BYTES or not raw.strip():
            continue
        text = raw.decode("utf-8", "replace")
        for detectors, certain in ((_certain(), True), (_guessing(), False)):
            for detector in detectors:
                for secret in detector.analyze_string(text):
                    if _is_random_enough(detector, str(secret)):
                        yield number, str(detector.secret_type), str(secret).encode(), certain


def _is_random_enough(detector: Any, secret: str) -> bool:
    """True above the detector's entropy limit, which only `analyze_line` checks itself."""
    limit = getattr(detector, "entropy_limit", None)
    return limit is None or detector.calculate_shannon_entropy(secret) > limit
