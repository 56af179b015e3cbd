"""What happens to the shop while nobody watches: a plan by seed, and what each night must come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Self

import numpy as np

from forecasting.sources.demo.shifts import Shift

QUIET = 12  # nights before anything moves: what is told of drift in them is a false alarm
KINDS = ("broken", "twice", "corrected", "killed", "tampered")


@dataclass(frozen=True)
class Plan:
    """events: by night, from 0. silent: nights without a delivery, made up for in the night after the last of them.

    away: nights in which nothing runs, caught up in order in the night after the last of them.
    """

    nights: int
    first: date
    shifts: list[Shift]
    events: dict[int, list[str]]
    silent: list[int] = field(default_factory=list)
    away: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, seed: int, nights: int, first: date, targets: dict[str, str]) -> Self:
        """A plan for so many nights; targets: what is hit, by kind of shift."""
        rng = np.random.default_rng(seed)
        start = min(QUIET, nights // 3)
        silent, away = [start + 1, start + 2], [start + 4, start + 5, start + 6]
        free = [night for night in range(start, nights) if night not in {*silent, *away, silent[-1] + 1, away[-1] + 1}]
        every = max(len(free) // 4, 1)
        shifts = [
            Shift(kind, targets[kind], first + timedelta(days=free[place]))
            for kind, place in zip(targets, (every // 2, 2 * every, 3 * every), strict=True)
        ]
        events: dict[int, list[str]] = {}
        for kind in KINDS:
            for night in sorted(rng.choice(free[:-1], size=max(len(free) // 12, 1), replace=False).tolist()):
                events.setdefault(night, []).append(kind)
        return cls(nights, first, shifts, events, silent, away)

    def day(self, night: int) -> date:
        """Its cutoff."""
        return self.first + timedelta(days=night)

    def stops(self, night: int) -> bool:
        """Whether the night's data is not worth forecasting from: nothing came two nights long."""
        return night in self.silent[1:]

    def told(self, night: int) -> str:
        """What is done to this night, in words."""
        words = [f"{shift.kind} {shift.target}" for shift in self.shifts if shift.since == self.day(night)]
        words += self.events.get(night, [])
        words += ["no delivery"] * (night in self.silent) + ["nothing runs"] * (night in self.away)
        return ", ".join(words)
