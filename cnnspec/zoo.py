"""The specs that ship with cnnspec, by name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

MODEL = re.compile(r"^model\s+(\w+)\s*(?:\(([^{]*?)\)\s*(?=[={]))?", re.MULTILINE)
"""A model's name and parameters in the text of a spec known to be right; parsing the zoo would take too long."""
BRACKETS = re.compile(r"#[^\n]*|\([^()\[\]]*\)|\[[^()\[\]]*\]")
SEPARATOR = re.compile(r"(?<!\d)_|_(?!\d)")
"""Not the one in RegNet_Y_3_2GF, which is another network than RegNet_Y_32GF."""


@cache
def folder() -> Path:
    """Where the specs are: beside the package in a checkout, inside it when installed."""
    here = Path(__file__).resolve().parent
    installed = here / "specs"
    return installed if installed.is_dir() else here.parent / "specs"


def fold(name: str) -> str:
    """A model's name as it is looked up: case does not matter, and ``_`` and ``-`` only do between digits."""
    return SEPARATOR.sub("", name.casefold().replace("-", "_"))


@cache
def models() -> dict[str, tuple[str, Path]]:
    """Every model of the zoo that stands alone: folded name to the name in its spec, and the file."""
    found = {}
    for path in sorted(folder().rglob("*.cnn")):
        for name, parameters in MODEL.findall(path.read_text(encoding="utf-8")):
            if stands_alone(parameters):
                found[fold(name)] = (name, path)
    return found


def stands_alone(parameters: str) -> bool:
    """Whether every parameter has a default, in the text between a model's parentheses."""
    nested = 1
    while nested:
        parameters, nested = BRACKETS.subn("", parameters)
    return all("=" in parameter for parameter in parameters.split(",") if parameter.strip())
