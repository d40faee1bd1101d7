"""What the cross-check says of code with one small change of meaning: the table in ``docs/verification.md``."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

# One thread: networks this small only wait for others.
os.environ.update(OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.mutants import MUTANTS
from support.mutation import Laboratory, table, write
from support.residents import Residents


def main() -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        residents = Residents(Path(place))
        laboratory = Laboratory(Path(place), residents)
        text = table([laboratory.examine(mutant) for mutant in MUTANTS])
        residents.close()
    write(text)
    print(text)
    print(f"{len(MUTANTS)} mutants in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
