"""A hook of MkDocs: links to files outside docs/ become plain text on the site, after a check that the file exists."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

log = logging.getLogger("mkdocs.hooks.outside_links")
_LINK = re.compile(r"\[(?P<text>[^\]\n]+)\]\((?P<target>[^)\s#]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """The Markdown of a page, in which only links that the site has are left."""
    docs = Path(config["docs_dir"]).resolve()
    here = Path(page.file.abs_src_path).resolve().parent

    def replaced(match: re.Match[str]) -> str:
        target = match["target"]
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        there = (here / target).resolve()
        if there.is_relative_to(docs) and "plugin-template" not in there.parts:
            return match[0]
        if not there.exists():
            log.warning("%s links to %s, which does not exist", page.file.src_uri, target)  # fails a strict build
        text = match["text"]
        return text if "`" in text or "/" not in text else f"`{text}`"

    return _LINK.sub(replaced, markdown)
