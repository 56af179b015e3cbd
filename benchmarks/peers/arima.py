"""`benchmarks.peers.small` on the first series of a data set only, where all of them would take too long.

`python -m benchmarks.peers.arima --series 150 --set vn2 ...`: the other arguments are those of `small`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.arima_sets import first
from benchmarks.peers import small
from benchmarks.small import SETS, Small


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--series", type=int, default=0)
    chosen, rest = parser.parse_known_args()
    SETS.update({name: _shorter(made, chosen.series) for name, made in SETS.items()})
    sys.argv[1:] = rest
    small.main()


def _shorter(made: Callable[[Path], Small], count: int) -> Callable[[Path], Small]:
    return lambda folder: first(made(folder), count)


if __name__ == "__main__":
    main()
