"""A run of differential testing: random specs on every target, failures made smaller and saved."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from cnnspec import api, loading
from cnnspec.backend import Backend, UnsupportedLayer, backends
from cnnspec.fuzz.compare import Answer, differences, sorted_out
from cnnspec.fuzz.generate import random_spec
from cnnspec.fuzz.minimise import minimise
from cnnspec.fuzz.workers import Failed, Job, Worker
from cnnspec.verify.exchange import Mode

REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one target made of one spec: ``disagrees``, ``fails``, ``unsupported`` or ``rounding``."""

    target: str
    kind: str
    lines: tuple[str, ...]


@dataclass(slots=True)
class Campaign:
    """The counts and the failures of a run."""

    targets: tuple[str, ...]
    specs: int = 0
    layers: int = 0
    seconds: float = 0.0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """By target: how often it ``agrees``, and each kind of finding."""
    failures: list[tuple[int, Finding]] = field(default_factory=list)
    explained: list[tuple[int, Finding]] = field(default_factory=list)
    """Differences that rounding explains, and what a target cannot express."""

    @property
    def ok(self) -> bool:
        return not self.failures

    def as_text(self) -> str:
        """A table of the counts, a line each."""
        lines = [f"{self.specs} random networks with {self.layers} layers in {self.seconds:.0f} s"]
        for target in self.targets:
            counts = self.counts.get(target, {})
            lines.append(f"{target}: " + ", ".join(f"{number} {what}" for what, number in sorted(counts.items())))
        return "\n".join(lines)


class Judge:
    """Compares targets with the reference, each in a process of its own."""

    def __init__(self, targets: Mapping[str, Backend]) -> None:
        self._backends = dict(targets)
        self._workers = {target: Worker(one.name, target) for target, one in targets.items()}
        self._reference = Worker(REFERENCE, REFERENCE)

    def findings(self, text: str, seed: int, targets: Sequence[str]) -> list[Finding]:
        """What is to be told of each target on a spec; nothing of those that agree."""
        graph, probes = api.load_for_compiling(loading.Spec(text, "<random>", None, None))
        as_json = graph.model_dump_json()
        self._reference.send(Job("answer", "", as_json, seed))
        found, sent = [], []
        for target in targets:
            try:
                source = self._backends[target].emit(graph, probes)
            except UnsupportedLayer as gap:
                found.append(Finding(target, "unsupported", (gap.diagnostics[0].message,)))
            except Exception as error:
                found.append(Finding(target, "fails", (f"no code: {type(error).__name__}: {error}",)))
            else:
                self._workers[target].send(Job("answer", source, as_json, seed))
                sent.append(target)
        expected = self._reference.receive()
        answers = {target: self._workers[target].receive() for target in sent}
        if isinstance(expected, Failed):
            return [Finding(REFERENCE, "fails", (expected.why,))]
        moved: dict[Mode, dict[str, float]] | None = None
        for target, given in answers.items():
            if not isinstance(given, Answer):
                found.append(Finding(target, "fails", (given.why,)))
                continue
            apart = differences(expected, given)
            if apart and moved is None:
                self._reference.send(Job("rounding", "", as_json, seed))
                measured = self._reference.receive()
                moved = {} if isinstance(measured, Failed) else measured
            unexplained, explained = sorted_out(apart, moved or {})
            if unexplained or explained:
                kind = "disagrees" if unexplained else "rounding"
                found.append(Finding(target, kind, tuple(map(str, unexplained or explained))))
        return found

    def close(self) -> None:
        for worker in (self._reference, *self._workers.values()):
            worker.close()


@contextmanager
def judging(targets: Sequence[str]) -> Iterator[Judge]:
    """A judge for these targets, whose processes end with it."""
    owners = {target: one for one in backends().values() for target in one.targets}
    judge = Judge({target: owners[target] for target in targets if target != REFERENCE})
    try:
        yield judge
    finally:
        judge.close()


def run(
    targets: Sequence[str],
    *,
    first_seed: int = 0,
    specs: int | None = None,
    minutes: float | None = None,
    save: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Campaign:
    """Random specs from a seed on, as many as are asked for or as the time allows.

    Failures are made smaller, and saved in the folder ``save`` as specs with their seed.
    """
    tell = progress or (lambda _: None)
    others = tuple(target for target in targets if target != REFERENCE)
    campaign = Campaign(others, counts={target: {"agree": 0} for target in others})
    began = time.monotonic()
    with judging(others) as judge:
        for seed in count(first_seed):
            campaign.seconds = time.monotonic() - began
            if campaign.specs == specs or (minutes is not None and campaign.seconds > 60 * minutes):
                return campaign
            text = random_spec(seed)
            found = judge.findings(text, seed, others)
            campaign.specs += 1
            campaign.layers += len(api.loads(text).layers)
            for target in others:
                kinds = [one.kind for one in found if one.target in (target, REFERENCE)] or ["agree"]
                for kind in kinds:
                    campaign.counts[target][kind] = campaign.counts[target].get(kind, 0) + 1
            for one in found:
                serious = one.kind in ("disagrees", "fails")
                (campaign.failures if serious else campaign.explained).append((seed, one))
                tell(f"seed {seed}: {one.target} {one.kind}: {'; '.join(one.lines[:3])}")
                if serious and save is not None:
                    save.mkdir(parents=True, exist_ok=True)
                    smaller = _smaller(judge, text, seed, one)
                    heading = "".join(
                        f"# {line}\n" for line in (f"seed {seed}: {one.target} {one.kind}", *one.lines[:5])
                    )
                    (save / f"seed-{seed}-{one.target}.cnn").write_text(heading + smaller, encoding="utf-8")
            if campaign.specs % 50 == 0:
                tell(f"{campaign.specs} specs, {len(campaign.failures)} failures, {campaign.seconds:.0f} s")
    raise AssertionError("seeds do not end")


def _smaller(judge: Judge, text: str, seed: int, finding: Finding) -> str:
    targets = [finding.target] if finding.target != REFERENCE else []

    def fails(candidate: str) -> bool:
        return any(
            one.target == finding.target and one.kind == finding.kind and _complaint(one) == _complaint(finding)
            for one in judge.findings(candidate, seed, targets)
        )

    return minimise(text, fails)


def _complaint(finding: Finding) -> str:
    """What a failure says, without its numbers; a smaller network may differ elsewhere."""
    return re.sub(r"\d+", "", finding.lines[0]) if finding.kind == "fails" else ""
