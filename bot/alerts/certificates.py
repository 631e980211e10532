"""When certificates in files end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CertificateEnd:
    """The first end of the certificates in a file; `problem` instead if it cannot be read."""

    path: Path
    ends_at: datetime | None
    problem: str = ""


def certificate_ends(paths: Iterable[Path]) -> list[CertificateEnd]:
    """The end of each file's certificates (PEM), in their order."""
    return [_end_of(path) for path in paths]


def _end_of(path: Path) -> CertificateEnd:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        return CertificateEnd(path, None, error.strerror or "it cannot be read")
    except ValueError:
        return CertificateEnd(path, None, "it has no certificate in PEM form")
    return CertificateEnd(path, min(each.not_valid_after_utc for each in found))
