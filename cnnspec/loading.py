"""Reading specs from files, standard input and the zoo: the only reading of files that the compiler does."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cnnspec import zoo
from cnnspec.diagnostics import Diagnostic, Span, SpecError, nearest
from cnnspec.syntax import tree
from cnnspec.syntax.parse import parse

LARGEST_FILE = 64 * 2**20


class Spec(NamedTuple):
    """A spec that was read: its text, the name that spans use, the model asked for by a zoo name, and its folder."""

    text: str
    name: str
    model: str | None
    folder: Path | None


@dataclass(slots=True)
class Parsed:
    """A spec and the files it uses, the spec first."""

    files: list[tree.File]
    sources: dict[str, str]
    model: str | None


def find(spec: str) -> Spec:
    """Read a spec by path, by zoo name, or from standard input for `-`; raises `SpecError`."""
    if spec == "-":
        return Spec(decode(sys.stdin.buffer.read(LARGEST_FILE + 1), "<stdin>"), "<stdin>", None, Path.cwd())
    path = Path(spec)
    looks_like_path = path.suffix == ".cnn" or len(path.parts) != 1 or path.exists()
    if not looks_like_path:
        known = zoo.models()
        entry = known.get(zoo.fold(spec))
        if entry is not None:
            model, path = entry
            return Spec(read(path, path.name), path.name, model, path.parent)
        near = nearest(zoo.fold(spec), known)
        raise _failure(
            "unknown-spec",
            f"there is no file `{spec}`, and no network of that name is shipped",
            spec,
            f"did you mean `{known[near[0]][0].lower()}`?" if near else "`cnnspec list` shows what is shipped",
        )
    return Spec(read(path, spec), spec, None, path.parent)


def read(path: Path, name: str) -> str:
    """The text of a file; raises `SpecError` where it is missing, unreadable, too large or no text."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise _failure(
            "missing-file", f"there is no file `{name}`", name, "check the path; `cnnspec list` shows the shipped specs"
        ) from None
    except OSError as error:
        raise _failure(
            "unreadable-file", f"cannot read `{name}`: {error.strerror or error}", name, "a spec is a text file"
        ) from None
    return decode(data, name)


def decode(data: bytes, name: str) -> str:
    """UTF-8 with or without a byte order mark; raises `SpecError` for anything else."""
    if len(data) > LARGEST_FILE:
        raise _failure("file-too-large", f"`{name}` is larger than 64 MiB", name, "a spec is a short text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _failure(
            "not-text",
            f"`{name}` is not a text in UTF-8 (byte {error.start})",
            name,
            "is this a binary file? save the spec as UTF-8",
            line,
        ) from None
    if "\0" in text:
        raise _failure("not-text", f"`{name}` is a binary file", name, "a spec is a text file")
    return text


def _failure(code: str, message: str, name: str, help: str, line: int = 1) -> SpecError:
    return SpecError([Diagnostic(code, message, Span(name, line, 1, line, 1), help=help)])


def parse_all(spec: Spec) -> Parsed:
    """Parse a spec and, one after another, every file it uses; raises `SpecError`."""
    sources = {spec.name: spec.text}
    files = [parse(spec.text, spec.name)]
    waiting = [(files[0], spec.folder)]
    seen = {spec.name}
    while waiting:
        file, folder = waiting.pop()
        for use in file.uses:
            path, name = _used(use, folder, sources)
            if name in seen:
                continue
            seen.add(name)
            try:
                sources[name] = read(path, name)
                files.append(parse(sources[name], name))
            except SpecError as error:
                if error.diagnostics[0].code in ("missing-file", "unreadable-file", "not-text", "file-too-large"):
                    d = error.diagnostics[0]
                    raise SpecError([Diagnostic(d.code, d.message, use.path.span, help=d.help)], sources) from None
                raise SpecError(error.diagnostics, sources) from None
            waiting.append((files[-1], path.parent))
    return Parsed(files, sources, spec.model)


def _used(use: tree.Use, folder: Path | None, sources: dict[str, str]) -> tuple[Path, str]:
    """The file that a `use` names: below the spec's folder, or a shipped one."""
    text = use.path.value
    given = Path(text)
    if given.is_absolute() or ".." in given.parts or not text or "\\" in text:
        raise SpecError(
            [
                Diagnostic(
                    "bad-path",
                    f"`use` takes a path below the spec's own folder, not `{text}`",
                    use.path.span,
                    help='write it like `use "blocks.cnn"`',
                )
            ],
            sources,
        )
    if folder is not None:
        beside = folder / given
        if beside.is_file() and beside.resolve().is_relative_to(folder.resolve()):
            return beside, str(beside) if folder != zoo.folder() else text
    shipped = zoo.folder() / given
    if shipped.is_file():
        return shipped, text
    raise SpecError(
        [
            Diagnostic(
                "missing-file",
                f"there is no file `{text}` beside the spec or among the shipped ones",
                use.path.span,
                help="paths are relative to the file that has the `use`",
            )
        ],
        sources,
    )
