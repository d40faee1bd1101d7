"""The grammar of `.cnn` files, as data: `cnn.lark` beside this module.

Building a parser from it, and caching its tables, is the business of `cnnspec.syntax.parse`.
"""

from __future__ import annotations

from pathlib import Path

GRAMMAR_PATH = Path(__file__).with_name("cnn.lark")


def grammar_text() -> str:
    """The text of the grammar, in Lark's notation."""
    return GRAMMAR_PATH.read_text(encoding="utf-8")
