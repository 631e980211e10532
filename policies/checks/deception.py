"""Finds text that people read differently than programs: reordered, invisible, look-alike, or out of sight."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from core.model.change import FileChange
from core.model.lane import Lane
from core.model.staged_diff import Finding
from policies.checks.names import code_point
from policies.checks.scope import block, warn

LONG_LINE_BYTES: Final = 5000
MAX_SHOWN: Final = 3
_ALARM: Final = "the text is reordered"
FAR: Final = 100
"""The number of spaces or empty lines in a row that put the following text out of sight."""

# Characters that reorder the text around them: Trojan Source (trojansource.codes, CVE-2021-42574).
_REORDERING: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Invisible characters, and tag characters and variation selectors, which can carry hidden text. Allowed are U+200D
# between two non-ASCII letters, which joins emoji, and a variation selector after a character with variants: an emoji,
# a keycap, an ideograph or a mathematical sign.
_DECEPTIVE: Final = re.compile(
    "[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\U0001d173-\U0001d17a]"
    "|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])"
    "|(?<![0-9#*\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff])[\ufe0e\ufe0f]"
    "|(?<![\u1000-\u109f\u2200-\u2aff\u3000-\u9fff\ua840-\ua87f\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff])[\ufe00-\ufe0d]"
    "|[\x00-\x08\x0b\x0e-\x1f\x7f\x80-\x9f\u2028\u2029]|\r(?!\\Z)"
)
# Letters that look like ASCII letters (CVE-2021-42694): from Unicode's confusables.txt, those of Cyrillic, Greek,
# Armenian and Cherokee, and full-width forms.
_LOOKALIKES: Final = (
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406\u0408\u04ae\u04c0\u0430\u0435"
    "\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u04bb\u0501\u051b\u051d\u0391\u0392\u0395\u0396\u0397\u0399\u039a"
    "\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03bd\u03b9\u03c1\u0555\u0585\u0570\u0578\u057d\u13a0\u13aa\u13da"
    "\uff21-\uff3a\uff41-\uff5a\u0131\u0261\u01c0"
)
_MIXED: Final = re.compile(f"(?<=[A-Za-z0-9_])[{_LOOKALIKES}]|[{_LOOKALIKES}](?=[A-Za-z0-9_])")
# A run of words of another script with no code between them; prose in that script also has other letters.
_RUN: Final = re.compile(r"[^\x00-\x7f\W]\w*(?:[ ,.;:!?-]+[^\x00-\x7f\W]\w*)*")
_WORD: Final = re.compile(r"\w+")
_ALL_LOOKALIKES: Final = re.compile(f"[{_LOOKALIKES}0-9_ ,.;:!?-]+")
_GREEK: Final = re.compile("[\u0370-\u03ff]")
_SPACES: Final = r"[ \t\x0b\x0c\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]"
_FAR_OFF: Final = re.compile(rf"(?:{_SPACES}{{{FAR}}}|\t{{25}}){_SPACES}*(?=\S)")
_FAR_ASCII: Final = " " * FAR

# Files of prose, in any script; in all other files, words of look-alike letters alone are reported.
_PROSE: Final = frozenset((
    "md", "markdown", "rst", "txt", "adoc", "asciidoc", "org", "tex", "html", "htm", "po", "pot", "csv", "tsv",
    "srt", "vtt", "xliff", "xlf", "strings", "arb", "resx", "ftl", "svg",
))  # fmt: skip
# Source code, in which reordered text hides what runs.
_SOURCE: Final = frozenset((
    "py", "pyi", "pyx", "pxd", "ipynb", "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "vue", "svelte",
    "astro", "java", "kt", "kts", "scala", "sc", "groovy", "gradle", "clj", "cljs", "cljc", "edn", "c", "h", "cc",
    "cpp", "cxx", "hh", "hpp", "hxx", "m", "mm", "cs", "fs", "fsx", "vb", "go", "rs", "zig", "nim", "d", "v",
    "vala", "swift", "dart", "rb", "rake", "erb", "php", "phtml", "pl", "pm", "t", "raku", "lua", "sh", "bash",
    "zsh", "fish", "ksh", "csh", "ps1", "psm1", "psd1", "bat", "cmd", "awk", "sed", "tcl", "r", "jl", "hs", "lhs",
    "ml", "mli", "elm", "ex", "exs", "erl", "hrl", "lisp", "el", "scm", "rkt", "sql", "sol", "move", "vy", "cairo",
    "tf", "hcl", "nix", "bzl", "bazel", "star", "cmake", "mk", "make", "just", "proto", "thrift", "graphql", "gql",
    "asm", "s", "f", "f90", "f95", "pas", "ada", "adb", "ads", "cob", "cbl", "vhd", "vhdl", "sv", "svh", "wat",
    "wgsl", "glsl", "hlsl", "cu", "cuh", "jinja", "j2", "tpl", "ejs", "hbs", "pug", "rego", "cue", "dhall",
))  # fmt: skip
_SOURCE_NAMES: Final = frozenset((
    "makefile", "gnumakefile", "dockerfile", "containerfile", "jenkinsfile", "rakefile", "gemfile", "vagrantfile",
    "justfile", "procfile",
))  # fmt: skip


@dataclass(slots=True)
class DeceptiveText:
    """Deceptive text on the new lines of a file, by kind, each with its first line."""

    reordering: dict[str, int] = field(default_factory=dict)
    characters: dict[str, int] = field(default_factory=dict)
    folded: dict[str, int] = field(default_factory=dict)
    words: dict[str, int] = field(default_factory=dict)
    long: int = 0
    far: int = 0
    below: int = 0


def check_text(lane: Lane, file: FileChange, text: str, before: bytes) -> list[Finding]:
    """Findings on the new lines of a file; characters that reorder source code block."""
    name = file.path.decode("utf-8", "surrogateescape").rpartition("/")[2].lower()
    is_source = is_program(name, text)
    seen = _scan_new_lines(text, before, prose=name.rpartition(".")[2] in _PROSE)
    findings = []
    if seen.reordering:
        report, missing_permission = (
            (warn, "") if lane.bidi or not is_source else (block, f", and lane {lane.name} has no `bidi: true`")
        )
        findings.append(
            report(
                "unicode",
                f"{_ALARM} by {_listed(seen.reordering)}: it reads differently than it runs{missing_permission}",
                file,
            )
        )
    if seen.characters:
        findings.append(warn("unicode", f"deceptive characters: {_listed(seen.characters)}", file))
    if seen.folded:
        folded = {f"{word} (programs may read {_plain(word)})": line for word, line in seen.folded.items()}
        findings.append(warn("unicode", f"words in compatibility letters: {_listed(folded)}", file))
    if seen.words:
        findings.append(warn("unicode", f"words that only look Latin: {_listed(seen.words)}", file))
    if seen.far:
        findings.append(warn("unicode", f"text far to the right on line {seen.far}, behind {FAR} spaces or more", file))
    if seen.below:
        findings.append(warn("unicode", f"text on line {seen.below}, below {FAR} empty lines or more", file))
    if seen.long:
        findings.append(warn("unicode", f"very long line {seen.long}: read it to its end", file))
    return findings


def is_program(name: str, text: str) -> bool:
    """True if a file with this lower-case name is source code or begins like a script."""
    stem, _, extension = name.rpartition(".")
    return extension in _SOURCE or name in _SOURCE_NAMES or stem in _SOURCE_NAMES or text.startswith("#!")


def _scan_new_lines(text: str, before: bytes, *, prose: bool) -> DeceptiveText:
    old, seen, empty = set(before.split(b"\n")), DeceptiveText(), 0
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.isspace():
            empty += 1
            continue
        if empty >= FAR and line.strip() and not seen.below and not _is_old(line, old):
            seen.below = number
        empty = 0
        plain = line.isascii() and line.isprintable()
        if plain and (len(line) <= FAR or (len(line) <= LONG_LINE_BYTES and _FAR_ASCII not in line)):
            continue
        raw = line.encode("utf-8", "surrogateescape")
        if raw in old:
            continue
        if len(raw) > LONG_LINE_BYTES:
            seen.long = seen.long or number
        if not seen.far and _FAR_OFF.search(line):
            seen.far = number
        if not plain:
            _scan_letters(seen, number, line[1:] if number == 1 and line.startswith("\ufeff") else line, prose=prose)
    return seen


def _is_old(line: str, old: set[bytes]) -> bool:
    return line.encode("utf-8", "surrogateescape") in old


def _scan_letters(seen: DeceptiveText, number: int, line: str, *, prose: bool) -> None:
    for match in (*_DECEPTIVE.finditer(line), *_MIXED.finditer(line)):
        char = match.group()
        described = (
            f"{code_point(char)} among Latin letters"
            if unicodedata.category(char).startswith("L")
            else code_point(char)
        )
        (seen.reordering if _REORDERING.match(char) else seen.characters).setdefault(described, number)
    if prose or line.isascii():
        return
    for word in _WORD.findall(line):
        if not word.isascii() and _is_folded(word):
            seen.folded.setdefault(word, number)
    for run in _RUN.finditer(line):
        words = run.group()
        if _ALL_LOOKALIKES.fullmatch(words) and (len(words) > 1 or not _GREEK.match(words)) and _plain(words) == words:
            seen.words.setdefault(f"{words.strip()[:40]} ({code_point(words[0])} …)", number)


def _is_folded(word: str) -> bool:
    """True if Python reads the word as an ASCII name although its letters differ; ordinals (1\u00ba) do not count."""
    plain = _plain(word)
    odd = word.rstrip("\u00aa\u00ba")
    return plain.isascii() and len(plain) > 1 and odd.isidentifier() and not (odd.isascii() or _MIXED.search(word))


def _plain(word: str) -> str:
    """`word` as languages that normalise names, such as Python (PEP 3131), read it."""
    return unicodedata.normalize("NFKC", word)


def _listed(places: dict[str, int]) -> str:
    sentences = [f"{what} on line {line}" for what, line in places.items()]
    more = f" and {len(sentences) - MAX_SHOWN} more" if len(sentences) > MAX_SHOWN else ""
    return ", ".join(sentences[:MAX_SHOWN]) + more


def alarms_first(findings: list[Finding]) -> Iterator[Finding]:
    """The findings, with those on reordered text first, so that they are seen even in a one-line summary."""
    yield from (finding for finding in findings if _is_alarm(finding))
    yield from (finding for finding in findings if not _is_alarm(finding))


def _is_alarm(finding: Finding) -> bool:
    return finding.check == "unicode" and finding.detail.startswith(_ALARM)
