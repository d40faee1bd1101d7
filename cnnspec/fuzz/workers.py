"""Long-lived processes, one for each target: a framework takes seconds to import, and a spec less than one to run."""

from __future__ import annotations

import os
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Literal, NamedTuple

TIME_LIMIT = 120.0
LIFETIME = 60
"""Jobs that one process does: the frameworks keep what they compiled."""


class Job(NamedTuple):
    """What a process is to do with a network: run it, or measure what it makes of rounding."""

    task: Literal["answer", "rounding"]
    source: str
    graph: str
    seed: int


class Failed(NamedTuple):
    """Why there is no answer."""

    why: str


class Worker:
    """The process of one target; it is started when it is first needed, and again when it has died."""

    def __init__(self, backend_name: str, target: str) -> None:
        self.backend = backend_name
        self.target = target
        self._process: Any = None
        self._connection: Connection | None = None
        self._jobs = 0

    def send(self, job: Job) -> None:
        """Begin a job."""
        if self._jobs >= LIFETIME:
            self.close()
        if self._connection is None:
            context = get_context("spawn")
            ours, theirs = context.Pipe()
            self._process = context.Process(target=serve, args=(theirs, self.backend, self.target), daemon=True)
            self._process.start()
            theirs.close()
            self._connection, self._jobs = ours, 0
        self._jobs += 1
        # A process that is gone is noticed when it is to answer.
        with suppress(OSError):
            self._connection.send(job)

    def receive(self) -> Any:
        """What came of the job: what its function gives, or `Failed`."""
        assert self._connection is not None, "a job was sent"
        try:
            if self._connection.poll(TIME_LIMIT):
                return self._connection.recv()
            why = f"no answer within {TIME_LIMIT:g} seconds"
        except (EOFError, OSError):
            self._process.join(5)
            why = f"its process ended with exit code {self._process.exitcode}"
        self.close()
        return Failed(why)

    def close(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.close()
            self._connection, self._jobs = None, 0
            self._process.kill()
            self._process.join()


def serve(connection: Connection, backend_name: str, target: str) -> None:
    """The life of a process: do jobs until nobody asks any more."""
    # One thread: networks are small, and each target has a process.
    shares = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    os.environ.update(dict.fromkeys(shares, "1"), TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    # What frameworks print while they are imported tells nothing.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    from cnnspec.backend import backend
    from cnnspec.fuzz.compare import answer, moved_by_rounding
    from cnnspec.graph import Graph

    runtime = backend(backend_name).runtime(target, "float64")
    while True:
        try:
            job: Job = connection.recv()
        except (EOFError, OSError):
            return
        try:
            graph = Graph.model_validate_json(job.graph)
            done: Any = (
                answer(runtime, job.source, graph, job.seed)
                if job.task == "answer"
                else moved_by_rounding(runtime, graph, job.seed)
            )
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            done = Failed(f"{type(error).__name__}: {lines[0]}"[:500])
        connection.send(done)
