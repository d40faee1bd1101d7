"""Processes that live as long as the tests do: one for each target, as starting it takes longer than most of its jobs.

`Residents.run` stands in for `cnnspec.verify.processes.run`.  It takes the place of processes alone: what they are
given, what they do with it, and how their results are compared is the code of the command line.
"""

from __future__ import annotations

import gc
import os
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cnnspec.backend import backend
from cnnspec.verify.exchange import read_job
from cnnspec.verify.processes import Ending, environment
from cnnspec.verify.worker import work

TIME_LIMIT = 600.0
MOST_MEMORY = 3 * 2**29
"""Bytes from which on a process is ended after its job: ten of them may live at once."""
LOG_CHARACTERS = 4000


class ResidentError(Exception):
    """What was called raised an exception, whose traceback this has, or its process is gone."""


class Resident:
    """A process that calls functions, one after the other.  It starts when it is first needed, and again if it died."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: Any = None
        self._connection: Connection | None = None

    def call(self, function: Callable[..., Any], *arguments: Any, timeout: float = TIME_LIMIT) -> Any:
        """What a function of an importable module returns there."""
        if self._connection is None:
            context = get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=serve, args=(theirs, self._log))
            with patch.dict(os.environ, environment(threads=1)):
                self._process.start()
            theirs.close()
        try:
            self._connection.send((function, arguments))
            if not self._connection.poll(timeout):
                self.close(patience=0)
                raise ResidentError(f"no result within {timeout:g} seconds\n{self._last_words()}")
            returned, value = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            self.close()
            raise ResidentError(f"its process ended with exit code {code}\n{self._last_words()}") from None
        if self._memory() > MOST_MEMORY:
            self.close()
        if not returned:
            raise ResidentError(value)
        return value

    def _memory(self) -> int:
        """What the process holds, in bytes, where the system tells: frameworks keep what a large network needed."""
        sizes = Path(f"/proc/{self._process.pid}/statm")
        return int(sizes.read_text().split()[1]) * resource.getpagesize() if sizes.exists() else 0

    def close(self, patience: float = 10) -> None:
        """End the process, by itself if it does so soon: what coverage measures it writes at its end."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._process.join(patience)
            self._process.kill()
            self._process.join()

    def _last_words(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-LOG_CHARACTERS:]


def serve(connection: Connection, log: Path) -> None:
    """The life of a process: call what is asked for until nobody asks any more."""
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    while True:
        try:
            function, arguments = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer = True, function(*arguments)
        except Exception:
            answer = False, traceback.format_exc()
        with suppress(OSError):
            connection.send(answer)
        # The next one finds the numbers of Keras's layers, and the memory, as in a new process.
        if "keras" in sys.modules:
            sys.modules["keras"].utils.clear_session(free_memory=False)
        gc.collect()


class Residents:
    """The processes of all targets, and what the definition gave for the jobs that it has done."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._residents: dict[str, Resident] = {}
        self._defined: dict[tuple[str, ...], Path] = {}

    def of(self, target: str) -> Resident:
        """The process of a target."""
        if target not in self._residents:
            self._residents[target] = Resident(self._place / f"{target}.txt")
        return self._residents[target]

    def close(self) -> None:
        for resident in self._residents.values():
            resident.close()

    def run(
        self,
        folders: Mapping[str, Path],
        timeout: float,
        progress: Callable[[str], None],
        meter: Callable[[Mapping[str, float]], None],
    ) -> dict[str, Ending]:
        """In place of a process for each target: one after the other, as other tests have the other cores."""
        return {name: self._run(folder, timeout) for name, folder in folders.items()}

    def _run(self, folder: Path, timeout: float) -> Ending:
        began = time.monotonic()
        job = read_job(folder)[0]
        given = tuple((folder / name).read_text(encoding="utf-8") for name in ("job.json", "graph.json", "source.py"))
        if given in self._defined:
            shutil.copytree(self._defined[given], folder, dirs_exist_ok=True)
            return Ending(time.monotonic() - began)
        try:
            self.of(job.target).call(work, folder, timeout=timeout)
        except ResidentError as error:
            return Ending(time.monotonic() - began, "it raised an exception", str(error))
        if not backend(job.backend).emits:
            self._defined[given] = self._place / f"defined-{len(self._defined)}"
            shutil.copytree(folder, self._defined[given])
        return Ending(time.monotonic() - began)
