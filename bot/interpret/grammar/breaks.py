r"""Line breaks in quoted texts: what `\n` means in a text that is to be written."""

from __future__ import annotations

import re

from bot.interpret.grammar.tokens import Token, UnclearClause

_ESCAPE = re.compile(r"\\[nt]")
_WINDOWS = re.compile(r"(?:^|[\s\"'(=])(?:[A-Za-z]:|\\)\\[^\\]")
_MEANT = {r"\n": "\n", r"\t": "\t"}
_INSIDE = re.compile(r"\w\\[nt][a-z0-9_]")
_DOUBLE = '"\u201c\u201d\u201e\u00ab\u00bb'


def unescape_breaks(request: str, word: Token) -> str:
    r"""The text of a quoted word to write; Unclear where `\n` may be a line break or those two characters.

    A text stands for itself. Only in double quotes, and where it can be nothing else, `\n` is a line break: not in a
    Windows path, not beside other backslashes or quotation marks, as code has them, and not within a word.
    """
    text = word.text
    is_double = request[word.start] in _DOUBLE
    if word.is_fenced or not is_double or not _ESCAPE.search(text) or _WINDOWS.search(text):
        return text
    rest = _ESCAPE.sub("", text)
    if "\\" in rest or any(mark in rest for mark in "\"'`") or _INSIDE.search(text):
        raise UnclearClause(
            "I cannot tell whether \\n or \\t in this text is a line break, a tab, or just these characters. Write "
            "line breaks as they are, or use 'single quotes' for exactly these characters."
        )
    return _ESCAPE.sub(lambda found: _MEANT[found[0]], text)
