"""Making a spec smaller while it still fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from cnnspec import api
from cnnspec.diagnostics import SpecError

MOST_TRIALS = 150
"""How often a smaller spec is run; those that are not valid are refused before, and do not count."""


def minimise(text: str, fails: Callable[[str], bool], most_trials: int = MOST_TRIALS) -> str:
    """The smallest spec found that is valid and for which ``fails`` holds, as it holds for ``text``."""
    trials = 0
    while True:
        for smaller in _smaller(text):
            if not _valid(smaller):
                continue
            trials += 1
            if fails(smaller):
                text = smaller
                break
            if trials >= most_trials:
                return text
        else:
            return text


def _valid(text: str) -> bool:
    try:
        api.loads(text)
    except SpecError:
        return False
    return True


def _smaller(text: str) -> Iterator[str]:
    """What is left of a spec with a part of it taken away, large parts first."""
    lines = text.splitlines()
    yield from _without_lines(lines)
    for number, line in enumerate(lines):
        for shorter in _shorter_lines(line):
            yield "\n".join([*lines[:number], shorter, *lines[number + 1 :]]) + "\n"


def _without_lines(lines: list[str]) -> Iterator[str]:
    """Without one to eight lines in a row, or without the brace and the end of a body."""
    for count in (8, 4, 3, 2, 1):
        for first in range(len(lines) - count, -1, -1):
            yield "\n".join(lines[:first] + lines[first + count :]) + "\n"
    for first, line in enumerate(lines):
        if line.endswith("{") and not line.startswith(("model", "block")):
            depth = len(line) - len(line.lstrip())
            last = next((n for n in range(first + 1, len(lines)) if lines[n] == " " * depth + "}"), None)
            if last is not None:
                yield "\n".join(lines[:first] + lines[last + 1 :]) + "\n"


def _shorter_lines(line: str) -> Iterator[str]:
    """Without a stage of a pipeline, an argument, or a term."""
    stages = line.split(" -> ")
    for number in range(1, len(stages)):
        yield " -> ".join(stages[:number] + stages[number + 1 :])
    for found in re.finditer(r", [a-z_]+ = (\[[^]]*\]|[^,()]+(\([^()]*\))?)", line):
        yield line[: found.start()] + line[found.end() :]
    for found in re.finditer(r"x [-+*/] \((.*)\)$", line):
        yield line[: found.start()] + found.group(1)
