"""Running the targets, each in a process of its own, as many at a time as there are cores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cnnspec.verify.exchange import read_progress

LOG_LINES = 15
"""How many of the last lines a failed process wrote are shown."""
POLL = 0.02


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: ``failure`` is empty where it ended well."""

    seconds: float
    failure: str = ""
    log: str = ""


@dataclass(slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    started: float


def run(
    folders: Mapping[str, Path],
    timeout: float,
    progress: Callable[[str], None],
    meter: Callable[[Mapping[str, float]], None] = lambda _: None,
) -> dict[str, Ending]:
    """Run the worker for each target's folder; a process that takes longer than ``timeout`` seconds is ended.

    ``meter`` is told how much of each target's work is done, from 0 to 1, whenever that has changed.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    together = min(cores, len(folders))
    surroundings = environment(max(1, cores // together))
    waiting = list(folders)
    running: dict[str, _Running] = {}
    endings: dict[str, Ending] = {}
    told: dict[str, float] = {}
    try:
        while waiting or running:
            while waiting and len(running) < together:
                target = waiting.pop(0)
                running[target] = _Running(_start(folders[target], surroundings), time.monotonic())
                progress(f"{target} runs")
            time.sleep(POLL)
            for target, one in list(running.items()):
                seconds = time.monotonic() - one.started
                code = one.process.poll()
                if code is None and seconds > timeout:
                    _end(one.process)
                    failure = f"no result within {timeout:g} seconds"
                elif code is None:
                    continue
                else:
                    failure = _reason(code)
                del running[target]
                endings[target] = Ending(seconds, failure, _last_lines(folders[target]) if failure else "")
                progress(f"{target} failed: {failure}" if failure else f"{target} is done after {seconds:.1f} s")
            shares = {target: 1.0 if target in endings else _share(folder) for target, folder in folders.items()}
            if shares != told:
                told = shares
                meter(shares)
    finally:
        for one in running.values():
            _end(one.process)
    return {target: endings[target] for target in folders}


def _share(folder: Path) -> float:
    done, of = read_progress(folder)
    return done / of


def _start(folder: Path, surroundings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen(
            # -P: generated code called torch.py in the current folder must not pass for the framework.
            [sys.executable, "-P", "-m", "cnnspec.verify.worker", str(folder)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=surroundings,
            # A group of its own: what the process starts ends with it, and Ctrl-C reaches only the parent.
            start_new_session=True,
        )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def environment(threads: int) -> dict[str, str]:
    """The same surroundings for every run: no accelerator, a fixed hash seed, and a fair share of the cores."""
    shares = (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    )
    return {
        **os.environ,
        **dict.fromkeys(shares, str(threads)),
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
        "PYTHONHASHSEED": "0",
        "PYTHONFAULTHANDLER": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _reason(code: int) -> str:
    if code == 0:
        return ""
    if code > 0:
        return f"its process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"its process was ended by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")


def _last_lines(folder: Path) -> str:
    text = (folder / "log.txt").read_bytes()[-20_000:].decode("utf-8", "replace")
    return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in text.splitlines()[-LOG_LINES:])
