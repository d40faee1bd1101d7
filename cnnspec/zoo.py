"""The specs that ship with cnnspec, by name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

LIBRARIES = ("classics", "torchvision", "keras")
"""The folders of the zoo; a name that several of them have is the first one's."""
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


class Network(NamedTuple):
    """A model of the zoo that stands alone: its name in its spec, the library it is of, and the file."""

    name: str
    library: str
    path: Path


def find(name: str) -> Network | None:
    """A network by its name, with or without its library: ``resnet50``, ``keras/resnet50``."""
    return by_name().get(fold(name))


@cache
def models() -> dict[str, Network]:
    """Every network by the shortest name that finds it, with its library where an earlier one has the same name."""
    found: dict[str, Network] = {}
    taken: set[str] = set()
    for network in _networks():
        short = network.name.lower()
        found[short if fold(short) not in taken else f"{network.library}/{short}"] = network
        taken.add(fold(short))
    return found


@cache
def by_name() -> dict[str, Network]:
    """Every network by each of its names, folded."""
    found: dict[str, Network] = {}
    for network in _networks():
        found[fold(f"{network.library}/{network.name}")] = network
        found.setdefault(fold(network.name), network)
    return found


@cache
def _networks() -> tuple[Network, ...]:
    return tuple(
        Network(name, library, path)
        for library in LIBRARIES
        for path in sorted((folder() / library).glob("*.cnn"))
        for name, parameters in MODEL.findall(path.read_text(encoding="utf-8"))
        if stands_alone(parameters)
    )


def stands_alone(parameters: str) -> bool:
    """Whether every parameter has a default, in the text between a model's parentheses."""
    nested = 1
    while nested:
        parameters, nested = BRACKETS.subn("", parameters)
    return all("=" in parameter for parameter in parameters.split(",") if parameter.strip())
