"""Options and fixtures of every suite."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import settings

# Before NumPy or any framework is imported, and inherited by the processes that tests start.  One thread each: pytest
# already runs a test per core, threads that wait for one another burn what others need, and the order in which a sum is
# taken does not depend on the machine then.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))

GOLDEN = Path(__file__).parent / "golden"

# The machine may be busy with other tests.  Hypothesis's own "ci" profile, taken where CI is set, has no deadline.
settings.register_profile("default", parent=settings(), deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected outputs instead of comparing")
    parser.addoption("--keep-durations", type=Path, metavar="FILE", help="write there how long every test took")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Keep what files and tests took, set-up included, the longest first."""
    kept: Path | None = config.getoption("--keep-durations")
    if kept is None:
        return
    tests: Counter[str] = Counter()
    for report in chain.from_iterable(terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport):
            tests[report.nodeid] += report.duration
    files: Counter[str] = Counter()
    for name, seconds in tests.items():
        files[name.partition("::")[0]] += seconds
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{seconds:8.2f} {name}" for part in (files, tests) for name, seconds in part.most_common()]
    kept.write_text("\n".join([*lines, ""]), encoding="utf-8")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether expected outputs are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def golden(update_golden: bool) -> Callable[[str | Path, str], None]:
    """``golden(path, text)``: the text must equal the file, whose path is taken from tests/golden unless absolute."""

    def compare(path: str | Path, text: str) -> None:
        file = GOLDEN / path
        expected = file.read_text(encoding="utf-8") if file.exists() else None
        if text == expected:
            return
        if update_golden:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        elif expected is None:
            pytest.fail(f"{file} is missing: `make golden` writes it", pytrace=False)
        else:
            difference = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), "expected", "produced", lineterm=""
            )
            report = [f"{file} differs: `make golden` rewrites it", *difference]
            pytest.fail("\n".join(report), pytrace=False)

    return compare
