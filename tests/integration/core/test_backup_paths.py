"""Restoring a backup that another made (security.md 130): nothing is written outside the new home."""

from __future__ import annotations

import io
import tarfile

import pytest

from bot.configuration.home import Home
from bot.operations.backup import read_backup
from core.model.errors import PermanentError


def archive_with(file, *members: tarfile.TarInfo) -> None:
    with tarfile.open(file, "w:gz") as archive:
        for member in members:
            content = b"planted"
            member.size = len(content) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


async def test_130_a_backup_that_leads_out_of_the_home_is_refused_and_writes_nothing_there(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    cases = (
        (tarfile.TarInfo("../outside/planted"),),
        (tarfile.TarInfo("state/../../outside/planted"),),
        (link("state", str(outside)), tarfile.TarInfo("state/planted")),
        (link("state", "../outside"), tarfile.TarInfo("state/planted")),
        (link("hard", "../outside/planted", tarfile.LNKTYPE),),
        (link("device", "", tarfile.CHRTYPE),),
    )
    for n, members in enumerate(cases):
        file, home = tmp_path / f"{n}.tar.gz", tmp_path / f"home{n}"
        archive_with(file, *members)
        with pytest.raises(PermanentError, match="cannot be restored"):
            await read_backup(Home(home), file)
        assert list(outside.iterdir()) == [], members[0].name
