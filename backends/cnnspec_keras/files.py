"""Keras's files of weights: ``.weights.h5``, ``.keras`` archives, which have one inside, and ``.h5`` from before.

Reading needs no Keras.  Only Keras can number its layers, so writing builds the generated model, in a process of its
own; it writes no ``.h5``, whose form is Keras 2's.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from typing_extensions import override

from cnnspec.graph import Graph
from cnnspec.weights.formats import MissingPackage, Stored, WeightError, WeightFiles, need
from cnnspec_keras.reading import stored

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

INNER = "model.weights.h5"
"""The member of a ``.keras`` archive that has the weights."""
MOST_EXPANSION = 100
"""How many times larger than the archive its member may be; Keras does not compress it."""
LOG_LINES = 15


class KerasFiles(WeightFiles):
    """What ``model.save_weights`` and ``model.save`` write."""

    suffixes = (".weights.h5", ".keras")
    read_only = (".h5",)

    @override
    @contextmanager
    def open(self, path: Path, graph: Graph) -> Iterator[Mapping[str, Stored]]:
        h5py = need("h5py", "weights")
        with _unpacked(path) as file:
            try:
                content = h5py.File(file, "r")
            except OSError as error:
                if error.errno is not None:
                    raise
                raise WeightError(f"`{path.name}` is no HDF5 file, or it is broken") from None
            with content:
                yield stored(h5py, path, content, graph)

    @override
    def write(self, path: Path, graph: Graph, probes: Sequence[Graph], weights: Mapping[str, Array]) -> None:
        import numpy

        from cnnspec_keras import BACKEND
        from cnnspec_keras.emit import emit

        gaps = {target: BACKEND.missing(target) for target in BACKEND.targets}
        target = next((target for target, gap in gaps.items() if gap is None), None)
        if target is None:
            raise MissingPackage(f"only Keras can number its layers: {gaps[BACKEND.targets[0]]}")
        with TemporaryDirectory(prefix="cnnspec-") as name:
            folder = Path(name)
            (folder / "graph.json").write_text(graph.model_dump_json(), encoding="utf-8")
            (folder / "source.py").write_text(emit(graph, probes), encoding="utf-8")
            # The prefix keeps names apart from the parameters of `savez`.
            arrays: dict[str, Any] = {f"/{key}": array for key, array in weights.items()}
            numpy.savez(folder / "weights.npz", **arrays)
            _run([sys.executable, "-P", "-m", "cnnspec_keras.saving", name, target, str(path)])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        lines = done.stdout.decode("utf-8", "replace").splitlines()[-LOG_LINES:]
        raise WeightError("\n".join(["Keras could not write the file:", *(f"  {line}" for line in lines)]))


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """The HDF5 file: the file itself, or a copy of the one in an archive."""
    with path.open("rb") as file:
        archived = file.read(2) == b"PK"
    if not archived:
        yield path
        return
    with TemporaryDirectory(prefix="cnnspec-") as folder:
        target = Path(folder) / INNER
        try:
            with ZipFile(path) as archive:
                if INNER not in archive.namelist():
                    raise WeightError(f"`{path.name}` has no `{INNER}`: it is no archive of a Keras 3 model")
                if archive.getinfo(INNER).file_size > MOST_EXPANSION * path.stat().st_size:
                    raise WeightError(f"`{path.name}` would unpack to more than {MOST_EXPANSION} times its size")
                with archive.open(INNER) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
        except (BadZipFile, NotImplementedError, RuntimeError) as error:  # broken, in an unknown way, or encrypted
            raise WeightError(f"`{path.name}` cannot be unpacked: {error}") from None
        yield target
