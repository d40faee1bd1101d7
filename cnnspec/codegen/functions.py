"""Functions of the language that Python has not, as definitions that a generated file brings along."""

from __future__ import annotations

FUNCTIONS: dict[str, str] = {
    "round_to": '''\
def round_to(
    value: float, multiple: int, least: int | None = None, limit: float = 0.9
) -> int:
    """Give the multiple nearest to a value, never below ``limit`` times it."""
    least = multiple if least is None else least
    rounded = max(least, int(value + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < limit * value else rounded
''',
    "linspace": '''\
def linspace(first: float, last: float, count: int) -> list[float]:
    """Evenly spaced numbers, both ends included."""
    if count < 2:
        return [first][:count]
    return [first + (last - first) * i / (count - 1) for i in range(count)]
''',
}
"""The source of each by its name; `cnnspec.expand.functions` has them for specs."""
