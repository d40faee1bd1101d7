"""Reading specs from files, standard input and the zoo: the only reading of files that the compiler does."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cnnspec import zoo
from cnnspec.diagnostics import Diagnostic, Span, SpecError, nearest
from cnnspec.syntax import tree
from cnnspec.syntax.parse import parse_once

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


def find(spec: str | Path) -> Spec:
    """Read a spec by path, by zoo name, or from standard input for `-`; raises `SpecError`."""
    spec = str(spec)
    if spec == "-":
        return Spec(decode(sys.stdin.buffer.read(LARGEST_FILE + 1), "<stdin>"), "<stdin>", None, Path.cwd())
    path = Path(spec)
    if path.suffix == ".cnn" or _exists(path):
        return Spec(read(path, spec), spec, None, path.parent)
    network = zoo.find(spec)
    if network is not None:
        name = _name_in_zoo(network.path)
        return Spec(read(network.path, name), name, network.name, network.path.parent)
    if "\n" in spec or "{" in spec:
        raise _failure(
            "unknown-spec",
            "this is the text of a spec, and not a path or a name",
            "<string>",
            "in Python, give it to `cnnspec.loads`; on the command line, give `-` and the text as standard input",
        )
    near = nearest(spec.casefold(), zoo.models())
    raise _failure(
        "unknown-spec",
        f"there is no file `{spec[:80]}`, and no network of that name is shipped",
        spec,
        f"did you mean `{near[0]}`?" if near else "`cnnspec list` shows what is shipped",
    )


def _name_in_zoo(path: Path) -> str:
    return path.relative_to(zoo.folder()).as_posix()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def read(path: Path, name: str) -> str:
    """The text of a file; raises `SpecError` where it is missing, unreadable, too large or no text."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        help = "check the path; `cnnspec list` shows the shipped specs"
        raise _failure("missing-file", f"there is no file `{name}`", name, help) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        help = "a spec is a text file that you may read"
        raise _failure("unreadable-file", f"cannot read `{name[:80]}`: {reason}", name, help) from None
    return decode(data, name)


def decode(data: bytes, name: str) -> str:
    """UTF-8 with or without a byte order mark; raises `SpecError` for anything else."""
    if len(data) > LARGEST_FILE:
        raise _failure("file-too-large", f"`{name}` is larger than 64 MiB", name, "a spec is a short text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        help = "is this a binary file? a spec is saved as UTF-8"
        message = f"`{name}` is not a text in UTF-8 (byte {error.start})"
        raise _failure("not-text", message, name, help, line) from None
    if "\0" in text:
        raise _failure("not-text", f"`{name}` is a binary file", name, "a spec is a text file")
    return text


def _failure(code: str, message: str, name: str, help: str, line: int = 1) -> SpecError:
    return SpecError([Diagnostic(code, message, Span(name, line, 1, line, 1), help=help)])


def parse_all(spec: Spec) -> Parsed:
    """Parse a spec and, one after another, every file it uses; raises `SpecError` with what is wrong in all of them."""
    sources = {spec.name: spec.text}
    files = [parse_once(spec.text, spec.name)]
    waiting = [(files[0], spec.folder)]
    seen = set() if spec.folder is None else {(spec.folder / Path(spec.name).name).resolve()}
    wrong: list[Diagnostic] = []
    while waiting:
        file, folder = waiting.pop()
        for use in file.uses:
            try:
                path, name = _used(use, folder)
                if path.resolve() in seen:
                    continue
                seen.add(path.resolve())
                sources[name] = _read_used(path, name, use)
                files.append(parse_once(sources[name], name))
                waiting.append((files[-1], path.parent))
            except SpecError as error:
                wrong += error.diagnostics
    if wrong:
        raise SpecError(wrong, sources)
    return Parsed(files, sources, spec.model)


def _read_used(path: Path, name: str, use: tree.Use) -> str:
    """The text of a used file; what is wrong with the file as such is shown at the `use`."""
    try:
        return read(path, name)
    except SpecError as error:
        (d,) = error.diagnostics
        raise _refusal(d.code, d.message, use, d.help) from None


def _used(use: tree.Use, folder: Path | None) -> tuple[Path, str]:
    """The file that a `use` names: below the folder of the file that has it, or a shipped one."""
    text = use.path.value
    given = Path(text)
    if given.is_absolute() or ".." in given.parts or not text.isprintable() or "\\" in text or not given.name:
        raise _refusal(
            "bad-path",
            f"`use` takes a path below the spec's own folder, not `{text[:80]}`",
            use,
            'write it like `use "blocks.cnn"`, with `/` between folders',
        )
    if folder is not None:
        beside = folder / given
        if _exists(beside) and beside.resolve().is_relative_to(folder.resolve()):
            return beside, _name_in_zoo(beside) if beside.is_relative_to(zoo.folder()) else str(beside)
    shipped = zoo.folder() / given
    if _exists(shipped):
        return shipped, text
    near = nearest(text, [path.name for path in folder.glob("*.cnn")]) if folder is not None else []
    raise _refusal(
        "missing-file",
        f"there is no file `{text[:80]}` beside the spec or among the shipped ones",
        use,
        f'did you mean `use "{near[0]}"`?' if near else "paths are relative to the file that has the `use`",
    )


def _refusal(code: str, message: str, use: tree.Use, help: str) -> SpecError:
    return SpecError([Diagnostic(code, message, use.path.span, help=help)])
