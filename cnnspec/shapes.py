"""Dimensions and shapes: whole numbers, or polynomials in sizes that are not known yet.

A dimension is an ``int`` or a `Symbolic`.  All arithmetic on dimensions goes through the ordinary
operators, so that a shape rule is written once and holds for both::

    >>> height = Symbolic.of("H")
    >>> (height + 2 * 1 - 3) // 1 + 1
    H
    >>> (height - 1) // 2 + 1
    (H - 1) // 2 + 1

A question that a symbolic size cannot answer (is it positive? is it 7?) raises `UnknownSize`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema
from typing_extensions import override


class Dims(tuple[int, ...]):
    """Sizes as they are written together: ``3x224x224``."""

    __slots__ = ()


class UnknownSize(ValueError):
    """A step needs the number behind a symbolic size."""

    def __init__(self, size: Symbolic) -> None:
        super().__init__(f"the size {size} is not known")
        self.size = size


class Symbolic:
    """A polynomial with whole coefficients over named sizes and floor divisions.

    ``terms`` maps a sorted tuple of atoms (a product) to its coefficient; the empty tuple is the
    constant.  An atom is a name such as ``"H"``, or the text of a floor division such as ``"(H - 1) // 2"``.
    """

    __slots__ = ("terms",)

    def __init__(self, terms: dict[tuple[str, ...], int]) -> None:
        self.terms = {atoms: factor for atoms, factor in sorted(terms.items()) if factor}

    @classmethod
    def of(cls, name: str) -> Symbolic:
        return cls({(name,): 1})

    @staticmethod
    def _terms(other: Dim) -> dict[tuple[str, ...], int]:
        return other.terms if isinstance(other, Symbolic) else {(): other}

    @staticmethod
    def _simplest(terms: dict[tuple[str, ...], int]) -> Dim:
        value = Symbolic(terms)
        if not value.terms:
            return 0
        if set(value.terms) == {()}:
            return value.terms[()]
        return value

    def __add__(self, other: Dim) -> Dim:
        total = dict(self.terms)
        for atoms, factor in self._terms(other).items():
            total[atoms] = total.get(atoms, 0) + factor
        return self._simplest(total)

    def __mul__(self, other: Dim) -> Dim:
        product: dict[tuple[str, ...], int] = {}
        for left, left_factor in self.terms.items():
            for right, right_factor in self._terms(other).items():
                atoms = tuple(sorted(left + right))
                product[atoms] = product.get(atoms, 0) + left_factor * right_factor
        return self._simplest(product)

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + -1 * other

    def __rsub__(self, other: int) -> Dim:
        return -1 * self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        if isinstance(other, Symbolic):
            raise UnknownSize(other)
        # Multiples of the divisor leave the floor; the rest stays under it.
        whole = {atoms: factor // other for atoms, factor in self.terms.items()}
        rest = {atoms: factor % other for atoms, factor in self.terms.items()}
        remainder = self._simplest(rest)
        quotient = self._simplest(whole)
        if isinstance(remainder, int):
            return quotient + remainder // other
        inner = str(remainder)
        return Symbolic({(f"({inner}) // {other}" if " " in inner else f"{inner} // {other}",): 1}) + quotient

    def __rfloordiv__(self, other: int) -> Dim:
        raise UnknownSize(self)

    def __bool__(self) -> bool:
        raise UnknownSize(self)

    def _refuse(self, other: object) -> bool:
        raise UnknownSize(self)

    __lt__ = __le__ = __gt__ = __ge__ = _refuse

    def __mod__(self, other: int) -> Dim:
        raise UnknownSize(self)

    def __index__(self) -> int:
        raise UnknownSize(self)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbolic) and self.terms == other.terms

    @override
    def __hash__(self) -> int:
        return hash(tuple(self.terms.items()))

    @override
    def __str__(self) -> str:
        text = ""
        for atoms, factor in sorted(self.terms.items(), key=lambda term: (not term[0], term[0])):
            alone = len(self.terms) == 1 and len(atoms) == 1 and factor == 1
            names = [f"({atom})" if "//" in atom and not alone else atom for atom in atoms]
            size = abs(factor)
            product = " * ".join(([str(size)] if size != 1 or not atoms else []) + names)
            if text:
                text += f" - {product}" if factor < 0 else f" + {product}"
            else:
                text = f"-{product}" if factor < 0 else product
        return text

    __repr__ = __str__

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        names = core_schema.list_schema(core_schema.str_schema())
        written = core_schema.list_schema(core_schema.tuple_positional_schema([names, core_schema.int_schema()]))
        return core_schema.no_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: [(list(atoms), factor) for atoms, factor in value.terms.items()], return_schema=written
            ),
            json_schema_input_schema=written,
        )

    @classmethod
    def _validate(cls, value: Any) -> Symbolic:
        if isinstance(value, Symbolic):
            return value
        if isinstance(value, list):
            try:
                return cls({tuple(atoms): factor for atoms, factor in value})
            except (TypeError, ValueError):
                pass
        raise ValueError("a symbolic size is a list of [names, factor] pairs")


Dim = int | Symbolic
Shape = tuple[Dim, ...]


def known(size: Dim) -> bool:
    """Whether a size is a plain number."""
    return not isinstance(size, Symbolic)


def product(sizes: Iterable[Dim]) -> Dim:
    """The product of sizes; 1 for none."""
    total: Dim = 1
    for size in sizes:
        total = total * size
    return total


def show(shape: Shape) -> str:
    """A shape as specs write it: ``64x112x112``; with symbolic sizes ``[64, H, W]``."""
    if all(isinstance(size, int) for size in shape):
        return "x".join(map(str, shape)) if shape else "scalar"
    return "[" + ", ".join(map(str, shape)) + "]"


def ceil_div(size: Dim, divisor: int) -> Dim:
    """``ceil(size / divisor)``."""
    return (size + (divisor - 1)) // divisor
