"""Verbs about keys and packages: set, change, bump, pin."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from bot.interpret.grammar.clause import (
    Clause,
    ambiguous_punctuation,
    is_structured,
    positions_of,
    strip_closings,
    strip_comma,
)
from bot.interpret.grammar.replacing import TO, build_replacement, change_word
from bot.interpret.grammar.tokens import Token, UnclearClause, word_set
from core.model.dotted_key import split_key
from core.model.edits import BumpPackage, Edit, SetKey

_IN = frozenset({"in", "inside", "within"})
_INNER = _IN | {"of"}
_NOUNS = ("key", "setting", "option", "variable", "field", "property")
_TO = ("to", "=", "as", "be", ":=", "->", "=>", "→", "equals")
_SET = "set server.timeout to 30 in config/app.yaml"
_BUMP = "bump httpx to 0.28.1 in requirements.txt"
_VAGUE = word_set(
    """
    it this that something anything nothing empty blank none higher lower bigger smaller more less double half
    whatever latest newest
    """
)
_COUNTS = word_set(
    """
    zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty hundred thousand
    """
)
_THOUSANDS = re.compile(r"[+-]?[0-9][0-9.]*(?:,[0-9.]+)+")
_SEVERAL = re.compile(r"(?:\A|,)[\w.-]+=")
_VERSION = re.compile(r"v?[0-9]+(?:[.+!-][A-Za-z0-9]+){0,8}[A-Za-z0-9]{0,8}")
_PACKAGE = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9._-]{0,100}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,100})?")
_REQUIRED = re.compile(r"(@?[A-Za-z0-9][A-Za-z0-9._/-]{0,200})(?:===?|@)([^=@]{1,60})")
_MANIFESTS = ("pyproject.toml", "package.json")


def set_key(clause: Clause) -> tuple[Edit, ...]:
    """set KEY to VALUE in FILE, in any order of the three."""
    located = _with_file(clause)
    key, was, value, new = _assignment(located)
    path = located.require_file(_SET)
    return (_set(located, path, key, was, value, new=new),)


def change(clause: Clause) -> tuple[Edit, ...]:
    """change X to Y: a key in a structured file, words in another, a package's version in a list of packages."""
    if (words := change_word(clause)) is not None:
        return words
    located = _with_file(clause)
    key, was, value, new = _assignment(located)
    version = len(value) == 1 and _VERSION.fullmatch(value[0].text) is not None and not value[0].is_text
    if located.named_file is None and version and not key.is_text:
        return bump(clause)
    if located.named_file is None and key.is_quoted:
        return build_replacement(clause, TO)
    path = located.require_file(_SET)
    name = path.rpartition("/")[2]
    if name.endswith((".txt", ".in")) and version and ("requirements" in path or "constraints" in path):
        return bump(replace(clause, lead=located.named_file))
    if name in _MANIFESTS and version and "." not in key.text:
        if key.text == "version" and name == "package.json":
            return (_set(located, path, key, was, value, new=new),)  # its one place there is at the top
        if key.text == "version":
            raise UnclearClause(
                "I do not see whose version.", f"set project.version to {value[0].text} in {path}", _BUMP
            )
        raise UnclearClause(
            f"{key.text} may be a package or a key in {path}.",
            f"bump {key.text} to {value[0].text} in {path}",
            f"set {key.text} to {value[0].text} in {path}",
        )
    if is_structured(path):
        if key.is_text:
            raise UnclearClause(
                f"“{key.text[:60]}” may be a key or words in {path}.",
                f"set {key.text[:60]} to … in {path}",
                f'replace "{key.text[:60]}" with "…" in {path}',
            )
        return (_set(located, path, key, was, value, new=new),)
    if was or not key.is_quoted:
        example = f'replace "{key.text[:60]}" with "{located.raw(value)[:60]}" in {path}'
        raise UnclearClause(f"{path} has no keys that I know of; say which words to replace, in quotes.", example)
    return build_replacement(clause, TO)


def new_key(clause: Clause) -> tuple[Edit, ...]:
    """add key KEY with value VALUE to FILE."""
    located = clause.take_path_at_end((*_IN, "to", "into")) or clause
    words = list(located.skip("the", "a", "new", *_NOUNS).words)
    for at in positions_of(words, "with"):
        if len(words) > at + 1 and words[at + 1].plain == "value":
            words[at : at + 2] = [Token("=", words[at].start, words[at].end)]
            break
    key, was, value, _ = _assignment(replace(located, words=tuple(words)))
    return (_set(located, located.require_file(_SET), key, was, value, new=True),)


def bump(clause: Clause) -> tuple[Edit, ...]:
    """bump or pin PACKAGE to VERSION, in a FILE or wherever it is named."""
    own = clause.take_path_at_end(_IN)
    located = (own or clause).skip("the", "my", "our")
    words = [word for word in located.words if word.plain not in ("package", "dependency", "library", "requirement")]
    if len(words) > 2 and words[0].plain == "version" and words[1].plain == "of":
        words = words[2:]
    words = words[:1] + [word for word in words[1:] if word.plain != "version"]
    if len(words) == 1 and (required := _REQUIRED.fullmatch(words[0].text)):
        package, was, version = required[1], None, required[2]
    else:
        package, was, version = _package_versions(words)
    if package.casefold() in ("version", "it"):
        at = located.named_file or "pyproject.toml"
        key = "version" if at.endswith("package.json") else "project.version"
        raise UnclearClause("I do not see which package you mean.", f"set {key} to {version[:40]} in {at}", _BUMP)
    if not _VERSION.fullmatch(version):
        raise UnclearClause(f"“{version[:40]}” is not a version number such as 1.2.3.", _BUMP)
    if not _PACKAGE.fullmatch(package):
        raise UnclearClause(f"“{package[:40]}” is not the name of a package.", _BUMP)
    path = located.require_file(_BUMP) if located.lead is not None else None
    exact, down = clause.verb in ("pin", "freeze"), clause.verb == "downgrade"
    return (BumpPackage(package, version, path, exact=exact, was=was, down=down),)


def _package_versions(words: list[Token]) -> tuple[str, str | None, str]:
    """The package, old version and new version of PACKAGE [from A] [to] B."""
    texts = [word.text.rstrip(",") for word in words]
    plain = [word.plain for word in words]
    if len(texts) == 5 and plain[1] == "from" and plain[3] == "to":
        return texts[0], texts[2], texts[4]
    if len(texts) == 3 and plain[1] in (*_TO, "@", "=="):
        return texts[0], None, texts[2]
    if len(texts) == 2 and not words[0].is_quoted:
        return texts[0], None, texts[1]
    raise UnclearClause("I do not see one package and one version.", _BUMP, "pin django to 5.1")


def _with_file(clause: Clause) -> Clause:
    """The clause with its file as lead, wherever it is among key, value and file."""
    at_end = clause.take_path_at_end(_IN)
    if at_end is not None:
        return at_end
    inside = [
        place
        for place in clause.find_paths(_INNER)
        if place.last < len(clause.words) and clause.words[place.last].plain in _TO
    ]
    if len(inside) == 1:
        return clause.without(inside[0])
    if clause.words and clause.words[0].plain in _IN:
        raise UnclearClause("I do not see which file you mean.", _SET)
    return clause


def _assignment(clause: Clause) -> tuple[Token, str | None, tuple[Token, ...], bool]:
    """The tokens of KEY [from WAS] to VALUE, KEY = VALUE or KEY: VALUE, and whether the key must be new."""
    is_new = any(
        word.plain == "new" and after.plain in _NOUNS
        for word, after in zip(clause.words[:2], clause.words[1:3], strict=False)
    )
    words = _from_key(strip_closings(clause.words))
    if len(words) == 1:
        return (*_pair(words[0]), is_new)
    words[:1] = _split_separator(words[0])
    old_value = None
    if words[1].plain in (*_NOUNS, "value") and len(words) > 3:
        owner = words[0].text.removesuffix("'s").removesuffix("\u2019s") if not words[0].is_quoted else words[0].text
        words[:2] = [replace(words[0], text=owner)]
    if words[1].plain == "from" and len(words) > 3:
        old_value, words = words[2].text, [words[0], *words[3:]]
    if words[1].plain == "equal" and len(words) > 3 and words[2].plain == "to":
        words[1:3] = [words[2]]
    if words[1].plain not in _TO or len(words) < 3:
        raise UnclearClause("I do not see one key and one value; a key is one word.", _SET)
    value = strip_comma(tuple(words[2:]))
    if len(value) > 1 and value[0].plain in ("be", "value", "the"):
        raise UnclearClause("I cannot tell the value from the words around it; quote it.", _SET)
    return words[0], old_value, value, is_new


def _from_key(words: tuple[Token, ...]) -> list[Token]:
    """The tokens from the key on; a noun such as `key` is itself the key if an assignment follows it."""
    index = 0
    while index < len(words) - 1 and words[index].plain in ("the", "value", "of", "for", "new", *_NOUNS):
        if words[index].text.endswith((":", "=")):
            break
        if words[index].plain in ("value", *_NOUNS) and words[index + 1].plain in (*_TO, "from", "equal"):
            if index:
                raise UnclearClause("I do not see which key to set.", _SET)
            break
        index += 1
    if not words:
        raise UnclearClause("I do not see which key to set.", _SET)
    return list(words[index:])


def _split_separator(word: Token) -> list[Token]:
    """A key with the `:` or `=` after it as a separate token."""
    end = word.after if word.is_quoted else word.text
    if not end.endswith((":", "=")) or (len(end) < 2 and not word.is_quoted):
        return [word]
    equals = Token("=", word.end, word.end)
    return [word if word.is_quoted else Token(word.text[:-1], word.start, word.end - 1), equals]


def _pair(word: Token) -> tuple[Token, str | None, tuple[Token, ...]]:
    """The key and value of KEY=VALUE in one word; quotes around the value make it text."""
    key, equals, value = word.text.partition("=")
    if word.is_quoted or not equals or not key or not value:
        raise UnclearClause("I do not see one key and one value.", _SET)
    trimmed = value.rstrip(",")
    is_quoted = len(trimmed) > 1 and trimmed[0] in "\"'`" and trimmed[-1] == trimmed[0]
    if not is_quoted and any(mark in value for mark in "\"'`"):
        raise UnclearClause("I cannot tell where the value begins and ends; put a space before its quotes.", _SET)
    text = trimmed[1:-1] if is_quoted else value
    pair = Token(text, word.start, word.end, is_quoted=is_quoted, is_code=trimmed[:1] == "`", after=word.after)
    return Token(key, word.start, word.start + len(key)), None, (pair,)


def _set(clause: Clause, path: str, key: Token, was: str | None, value: tuple[Token, ...], *, new: bool) -> SetKey:
    name = _key(key)
    value = strip_comma(strip_closings(value))
    if len(value) == 1:
        text, is_text = _value(value[0])
        return SetKey(path, name, text, quoted=is_text, was=was, new=new)
    text = clause.raw(value)
    if text[:1] + text[-1:] in ("[]", "{}"):
        return SetKey(path, name, text, was=was, new=new)
    raise UnclearClause(f"The value “{text[:60]}” has several words; put it in quotes.", f'set {name} to "…" in {path}')


def _key(word: Token) -> str:
    """The dotted key that a token is; a quoted one that cannot be split, or that has a slash, is one literal part."""
    name = word.text if word.is_quoted else word.text.rstrip(",")
    if not word.is_quoted and (mark := ambiguous_punctuation(replace(word, text=name))):
        raise UnclearClause(f"I cannot tell whether “{mark}” belongs to the key; put the key in quotes.", _SET)
    if not word.is_quoted and "=" in name and '"' not in name:
        raise UnclearClause(f"“{name[:60]}” may be a key with its value; say: set KEY to VALUE.", _SET)
    parts = split_key(name) if _is_valid_key(name) else ()
    slashed = any("/" in part.text and not part.literal for part in parts)
    if word.is_text and (slashed or not parts) and '"' not in name:
        return f'"{name}"'
    if slashed:
        way = f'set a."{parts[-1].text}" to … in FILE'
        raise UnclearClause(f"{name[:60]} looks like a file, not like a key; quote the part that holds a slash.", way)
    return name


def _value(word: Token) -> tuple[str, bool]:
    """The value that a token is, and whether it is text whatever it looks like; code may contain quotes."""
    if word.is_code:
        inner = word.text.strip()
        is_text = not inner or (len(inner) > 1 and inner[0] in "\"'" and inner[-1] == inner[0])
        return (inner[1:-1], True) if is_text else (word.text, False)
    if word.is_quoted:
        return word.text, True
    if word.plain in _VAGUE:
        raise UnclearClause(f"“{word.text}” does not say a value; write it, in quotes if it is text.", _SET)
    if word.plain in _COUNTS:
        raise UnclearClause(f"“{word.text}” may be a number or a word; write digits, or quote the word.", _SET)
    if _THOUSANDS.fullmatch(word.text):
        raise UnclearClause(f"“{word.text}” may be one number or several; write it without commas, or quote it.", _SET)
    if _SEVERAL.search(word.text):
        raise UnclearClause(
            f"“{word.text[:60]}” may be a key with its value; quote it if all of it is the value.", _SET
        )
    if mark := ambiguous_punctuation(word):
        raise UnclearClause(f"I cannot tell whether “{mark}” belongs to the value; put the value in quotes.", _SET)
    return word.text, False


def _is_valid_key(key: str) -> bool:
    try:
        return bool(split_key(key))
    except ValueError:
        return False


VERBS: dict[str, Callable[[Clause], tuple[Edit, ...]]] = {
    **dict.fromkeys(("set", "assign", "configure"), set_key),
    **dict.fromkeys(("change", "update", "modify", "switch", "edit"), change),
    **dict.fromkeys(("bump", "pin", "upgrade", "downgrade", "freeze"), bump),
}
