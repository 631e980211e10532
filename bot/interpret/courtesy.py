"""Recognises courtesy, such as thanks, praise and greetings, that asks for no change; pure, and never a guess.

A text is courtesy only if all of its words are. One other word, such as a path, a name or a verb of a request, and it
is read like any other text.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_APPROVAL_PHRASES: Final = (
    "lgtm",
    "sgtm",
    "approve",
    "approved",
    "approving",
    "i approve",
    "accept",
    "accepted",
    "agreed",
    "countersign",
    "countersigned",
    "ship it",
    "shipit",
    "ship this",
    "merge it",
    "merge this",
    "looks good",
    "looking good",
    "look good",
    "looks great",
    "looks fine",
    "looks right",
    "looks correct",
    "all good",
    "good to go",
    "good to merge",
    "ok to merge",
    "ready to merge",
    "go ahead",
    "go for it",
    "works for me",
    "fine by me",
    "fine with me",
    "ok",
    "okay",
    "k",
    "kk",
    "yes",
    "yep",
    "yeah",
    "yup",
    "sure",
    "fine",
    "correct",
    "+1",
    "1+",
    "👍",
    "👌",
    "✅",
    "✔",
    "☑",
    "🚢",
    "🆗",
    "💯",
)
"""What people write to approve; alone or among words of courtesy, it approves nothing."""

_COURTESY_TEXT: Final = """
    hi hey hello hallo hiya howdy yo greetings welcome morning afternoon evening night day bye goodbye ciao cheers
    thanks thank thx ty tysm tks thankyou merci danke gracias appreciated appreciate grateful
    please pls plz sorry oops excuse pardon congrats congratulations
    good great nice cool awesome amazing excellent perfect brilliant fantastic wonderful lovely neat sweet super superb
    love loved like liked enjoy impressive impressed beautiful well done job work works worked
    wow omg whoa woah yay yaay hooray hurray woot kudos bravo props respect haha hahaha lol rofl hehe heh hmm hm mm uh
    um ah aha oh ooh huh meh
    i i'm im i've id i'd ill i'll me my you you're your we we're our us they it it's its this that these those
    he she everyone everybody all team folks guys there here
    a an the and or but so for of on with to at in as from by too also just really very much many lot
    lots bit now then today tomorrow tonight already still always ever
    is are was were am be been being does did have has had got get can could would will may might should
    think thought believe guess hope feel see seen look looks looking looked seems seem know knew understand understood
    say said tell told read hear heard
    help helped helpful useful ready available around alive awake working
    what what's who how how's when where why which
    bot countersign countersign-bot robot friend buddy mate pal sir dear
    yes yep yeah yup no nope nah ok okay k kk alright right sure fine true maybe perhaps not dont don't
    test testing ping pong world project tool app product stuff thing things
    wait later soon back talk chat fun going happy sad glad pleased need needed nothing something anything
"""
_COURTESY_WORDS: Final = frozenset(_COURTESY_TEXT.replace("'", "").split())
_NEGATIONS: Final = frozenset({"no", "nope", "nah", "not", "dont", "never", "wait"})
_OPENERS: Final = frozenset({"hi", "hey", "hello", "thanks", "thank", "thx", "cheers", "morning", "welcome", "lgtm"})
_MENTION: Final = re.compile(r"(?<!\S)@[A-Za-z0-9_.-]+(?:\[bot\])?|<@[A-Z0-9]+(?:\|[^>]*)?>")
_SHORTCODE: Final = re.compile(
    r":(\+1|thumbsup|white_check_mark|heavy_check_mark|ok_hand|shipit|ship|100)(?:::[a-z0-9-]+)?:"
)
_EMOJI_CODE: Final = re.compile(r"(?<!\S):[a-z0-9_+-]{1,40}:(?!\S)")
_WORD: Final = re.compile(r"[\w'+-]+|[^\w\s]", re.UNICODE)
_NAME: Final = re.compile(r"[A-Z][a-z\u00df-\u017f]{1,19}")
_MAX_CHARS: Final = 300
"""A longer text says more than courtesy."""
_STRAIGHT_APOSTROPHES: Final = str.maketrans(
    {"\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{LEFT SINGLE QUOTATION MARK}": "'"}
)


def is_courtesy(text: str) -> bool:
    """Whether every word of `text` is courtesy; punctuation and emoji alone ask for nothing either."""
    if len(text) > _MAX_CHARS or "`" in text:
        return False
    words = _words(text)
    unknown = [word for word in words if not _is_courtesy(word)]
    if not unknown:
        return True
    has_only_names = len(unknown) <= 2 and all(_NAME.fullmatch(word) for word in unknown)  # "thanks, Maria!"
    return has_only_names and any(word.casefold() in _OPENERS for word in words)


def sounds_like_approval(text: str) -> bool:
    """Whether a courtesy text sounds like an approval."""
    words = [word.casefold().replace("'", "") for word in _words(text)]
    if _NEGATIONS.intersection(words):
        return False
    padded = f" {' '.join(words)} "
    return any(f" {phrase} " in padded for phrase in _APPROVAL_PHRASES)


def _is_courtesy(word: str) -> bool:
    plain = word.casefold().removesuffix("'s").replace("'", "")
    return plain in _COURTESY_WORDS or plain in _APPROVAL_WORDS or not any(char.isalnum() for char in word)


def _words(text: str) -> list[str]:
    """The words and emoji of a text, without punctuation, mentions and skin tones."""
    plain = _MENTION.sub(" ", unicodedata.normalize("NFKC", text).translate(_STRAIGHT_APOSTROPHES))
    plain = _EMOJI_CODE.sub(" ", _SHORTCODE.sub(" \N{THUMBS UP SIGN} ", plain))
    return [word for match in _WORD.findall(plain) if (word := _strip_signs(match))]


def _strip_signs(word: str) -> str:
    """A word without surrounding signs; an emoji stays, punctuation becomes empty."""
    if len(word) == 1 and not word.isalnum():
        category = unicodedata.category(word)
        return word if category == "So" else ""
    return word if word in ("+1", "1+") else word.strip("'-+_")


_APPROVAL_WORDS: Final = frozenset(word for phrase in _APPROVAL_PHRASES for word in phrase.split())
