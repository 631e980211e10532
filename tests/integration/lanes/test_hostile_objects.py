"""Objects that no git would write, from a remote and from a pack: refused, nothing kept, the next work as ever."""

from __future__ import annotations

import contextlib

import pytest

from core.model.errors import PermanentError
from tests.integration.lanes import origin
from tests.integration.lanes.packs import COMMIT, TAG, TREE, WHO, HostileServer, Pack

pytestmark = pytest.mark.lanes

FILE, LINK, FOLDER, MODULE = b"100644", b"120000", b"40000", b"160000"

NAMES = (
    b"..", b".", b"", b"/abs", b"a/b", b"../x",
    b".git", b".GIT", b".Git", b".git ", b".git.", b".git...", b".git . ", b"git~1", b"GIT~1", b".git\\x",
    b".git::$INDEX_ALLOCATION", b".g\xe2\x80\x8cit", b".git\xe2\x80\x8f", b"\xef\xbb\xbf.git", b".\xe2\x81\xafgit",
)  # fmt: skip

MODES = (b"0", b"1", b"20000", b"107777", b"104755", b"100600", b"170000", b"60000", b"999999", b"-1", b"9" * 40)

MODULES = (
    b'[submodule "../x"]\n path = a\n url = x\n',
    b'[submodule "x"]\n path = a\n url = -x\n',
    b'[submodule "x"]\n path = -a\n url = x\n',
    b'[submodule "x"]\n path = a\n url = x\n update = !touch x\n',
    b'[submodule "x"]\n path = a\n url = https:///x%0ahost=y\n',
)


def one(name=b"f", mode=FILE):
    """A commit with one entry, as a file and as a folder."""

    def make(pack):
        blob = pack.blob()
        oid = pack.tree((FILE, b"f", blob)) if mode == FOLDER else blob
        return pack.commit(pack.tree((mode, name, oid)))

    return make


def tree(*entries):
    """A commit of these entries, each with its content, or with an id that stands for none."""

    def make(pack):
        oids = {text: text if len(text) == 20 else pack.blob(text) for _, _, text in entries}
        return pack.commit(pack.tree(*((mode, name, oids[text]) for mode, name, text in entries)))

    return make


def raw_commit(*lines):
    return lambda pack: pack.add(COMMIT, b"\n".join(lines) % {b"tree": pack.tree().hex().encode(), b"who": WHO})


def by(who):
    return lambda pack: pack.commit(pack.tree(), who=who)


def beneath_a_link(pack):
    inner = pack.tree((FILE, b"passwd", pack.blob()))
    return pack.commit(pack.tree((LINK, b"d", pack.blob(b"/etc")), (FOLDER, b"d", inner)))


def no_parent(oid):
    return lambda pack: pack.commit(pack.tree(), b"parent %s\n" % oid)


HOSTILE = (
    {f"a folder {name!r}": one(name, FOLDER) for name in NAMES}
    | {f"a file {name!r}": one(name) for name in NAMES}
    | {f"mode {mode.decode()}": one(mode=mode) for mode in MODES}
    | {f"submodules {n}": tree((FILE, b".gitmodules", text)) for n, text in enumerate(MODULES)}
    | {
        "submodules by a link": tree((LINK, b".gitmodules", b"/etc/passwd")),
        "submodules by a short name": tree((LINK, b"GITMOD~1", b"/etc/passwd")),
        "attributes of one long line": tree((FILE, b".gitattributes", b"a" * 5000)),
        "a file beneath a link": beneath_a_link,
        "one name twice": tree((FILE, b"f", b"1"), (FILE, b"f", b"2")),
        "out of order": tree((FILE, b"z", b"1"), (FILE, b"a", b"1")),
        "a null id": tree((FILE, b"f", bytes(20))),
        "a file that is not there": tree((FILE, b"f", b"\1" * 20)),
        "a folder that is not there": tree((FOLDER, b"f", b"\1" * 20)),
        "a folder that is a file": lambda pack: pack.commit(pack.tree((FOLDER, b"f", pack.blob()))),
        "a file that is a folder": lambda pack: pack.commit(pack.tree((FILE, b"f", pack.tree()))),
        "a tree that breaks off": lambda pack: pack.commit(pack.add(TREE, b"100644 f\0short")),
        "no tree": raw_commit(b"author %(who)s", b"committer %(who)s", b"", b"x"),
        "a tree that is a file": lambda pack: pack.commit(pack.blob()),
        "nobody": raw_commit(b"tree %(tree)s", b"", b"x"),
        "a NUL in the message": raw_commit(b"tree %(tree)s", b"author %(who)s", b"committer %(who)s", b"", b"x\0y"),
        "a NUL in a name": by(b"t\0 <t@example.com> 1 +0000"),
        "an address in an address": by(b"t <t<@example.com> 1 +0000"),
        "a date after time": by(b"t <t@example.com> %s +0000" % (b"9" * 30)),
        "a date before time": by(b"t <t@example.com> -5 +0000"),
        "no date": by(b"t <t@example.com>"),
        "two authors": lambda pack: pack.commit(pack.tree(), b"author " + WHO + b"\n"),
        "a null parent": no_parent(b"0" * 40),
        "a parent that is not there": no_parent(b"1" * 40),
    }
)


@pytest.fixture(scope="module")
def server():
    with HostileServer().serving() as serving:
        yield serving


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A remote, and the folder of one store that everything below tries to spoil."""
    root = tmp_path_factory.mktemp("hostile")
    return origin.remote(root / "origin.git", {"a": "1\n"}), root / "state"


JUDGED_LAST = (
    "submodules 0",
    "submodules 1",
    "submodules 2",
    "submodules 3",
    "submodules 4",
    "attributes of one long line",
)
"""git judges these when the pack is in its place already; it stays there, and nothing reaches what is in it."""


def everything_in(at):
    """All references of a git store, and all objects in it."""
    objects = origin.git("cat-file", "--batch-all-objects", "--batch-check", at=at)
    return origin.git("for-each-ref", at=at), objects


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_hostile_object_is_refused_and_nothing_of_it_is_kept(what, server, shared):
    bare, state = shared
    good = origin.store(bare, state)
    if not good.store.path.exists():
        await good.fetch_base()
    refs, objects = everything_in(good.store.path)
    pack = Pack()
    tip = HOSTILE[what](pack)
    hostile = origin.store(server.offer("hostile", tip, pack.written()), state)  # the same store
    for work, code in ((hostile.fetch_base(), "repository_corrupt"), (good.unpack(pack.written()), "bad_pack")):
        with pytest.raises(PermanentError) as caught:
            await work
        problem = caught.value.problem
        assert problem.code == code, problem
        assert problem.mend
        assert "web" in problem.message
        assert "\n" not in problem.message
        assert "\0" not in problem.message
    refs_after, objects_after = everything_in(good.store.path)
    assert refs_after == refs
    assert objects_after == objects or what in JUDGED_LAST


async def test_the_next_work_is_as_ever(server, shared, tmp_path):
    """After all of the above, in the same store."""
    bare, state = shared
    good = origin.store(bare, state)
    base = await good.fetch_base()
    assert base == origin.line("rev-parse", "main", at=bare)
    tree = await good.write_tree(await good.tree_of(base), {"b": b"2\n"}, [], {})
    assert [file.path for file in (await good.change(base, tree)).files] == [b"b"]
    out = tmp_path / "out"
    out.mkdir()
    await good.export(tree, out)
    assert origin.names_in(out) == ["a", "b"]


def tag_of_a_tag(pack):
    oid, kind = pack.commit(pack.tree((FILE, b"f", pack.blob()))), b"commit"
    for name in (b"x", b"y"):
        oid = pack.add(TAG, b"object %s\ntype %s\ntag %s\ntagger %s\n\nx\n" % (oid.hex().encode(), kind, name, WHO))
        kind = b"tag"
    return oid


def old_faults(pack):
    who = b"t <t@example.com> 1 +51800"
    return pack.commit(pack.tree((b"040000", b"d", pack.tree((FILE, b"f", pack.blob())))), who=who)


HARMLESS = {
    "a tag of a tag": tag_of_a_tag,
    "a submodule": tree((MODULE, b"sub", b"\1" * 20)),
    "a link to outside": tree((LINK, b"l", b"/etc/passwd")),
    "links for git's own files": tree((LINK, b".gitattributes", b"/etc/passwd"), (LINK, b".gitignore", b"/etc/passwd")),
    "names that other systems would split": tree((FILE, b"..\\x", b"1"), (FILE, b"C:x", b"1"), (FILE, b"con", b"1")),
    "a name to move a cursor": tree((FILE, b"\x1b[2J\n", b"1")),
    "a name too long for a disk": tree((FILE, b"n" * 5000, b"1")),
    "an author of a megabyte": by(b"t" * (1 << 20) + b" <t@example.com> 1 +0000"),
    "old and harmless faults": old_faults,
}


@pytest.mark.parametrize("what", HARMLESS)
async def test_what_git_lets_in_stays_where_it_is_put(what, server, tmp_path):
    """Listed, compared and written out: a plain refusal, or nothing outside the folder and no link followed."""
    pack = Pack()
    repo = origin.store(server.offer("odd", HARMLESS[what](pack), pack.written()), tmp_path / "state")
    base = await repo.fetch_base()
    start = await repo.tree_of(base)
    assert not any(c in path for path in await repo.paths(base) for c in "\x1b\n")
    out = tmp_path / "to" / "out"
    out.mkdir(parents=True)
    with contextlib.suppress(PermanentError):  # a plain refusal will do
        await repo.export(start, out)
        again = await repo.import_tree(out, start)
        assert set(await repo.list_paths(again)) <= set(await repo.list_paths(start))
    assert origin.names_in(out.parent) == ["out"]
