"""Series asked for by name or glob."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def matching(names: Iterable[str], patterns: Sequence[str]) -> NDArray[np.bool_]:
    """(n_names,) whether each name fits a pattern.

    A pattern that is itself a name stands for that series only: names may hold the signs of a glob, such as PACK[6].
    """
    given = [str(name) for name in names]
    there = set(given)
    exact, globs = {one for one in patterns if one in there}, [one for one in patterns if one not in there]
    found = [name in exact or any(fnmatch.fnmatchcase(name, one) for one in globs) for name in given]
    return np.array(found, dtype=np.bool_)
