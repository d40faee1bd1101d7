"""The specs that ship with cnnspec, by name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

MODEL = re.compile(r"^model\s+(\w+)", re.MULTILINE)


@cache
def folder() -> Path:
    """Where the specs are: beside the package in a checkout, inside it when installed."""
    here = Path(__file__).resolve().parent
    installed = here / "specs"
    return installed if installed.is_dir() else here.parent / "specs"


def fold(name: str) -> str:
    """A model's name as it is looked up: case and underscores do not matter."""
    return name.casefold().replace("_", "").replace("-", "")


@cache
def models() -> dict[str, tuple[str, Path]]:
    """Every model of the zoo: folded name to the name in its spec, and the file."""
    found = {}
    for path in sorted(folder().rglob("*.cnn")):
        for name in MODEL.findall(path.read_text(encoding="utf-8")):
            found[fold(name)] = (name, path)
    return found
