"""Shares of a task in processes of their own, which also works where Python's own pools do not: under Celery.

Celery's tasks run in daemonic processes, which `multiprocessing` allows no children; forks of a process with threads
can hang. So each share goes to a fresh interpreter, in and out as JSON, which runs no code and keeps floats bit for
bit. Each process works with one BLAS thread: small matrices on many only wait for each other.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from threadpoolctl import threadpool_limits

START = 3.0  # seconds of work that are worth a process: an interpreter loads its libraries in one to two
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
log = logging.getLogger(__name__)
Share = Callable[[list[Any]], list[Any]]  # JSON values in, as many JSON values out


def workers(threads: int, seconds: float) -> int:
    """Processes that so many seconds of work pay for, at most `threads` (0 = all cores); 1 = none but this one."""
    cores = threads or len(os.sched_getaffinity(0))
    return max(1, min(cores, int(seconds / START)))


def spread(work: Share, tasks: list[Any], count: int) -> list[Any]:
    """What `work` makes of the tasks, in their order, by `count` processes; its result must not depend on the shares.

    work: a module's own function. Every count-th task goes to the same process, so that tasks that get smaller are
    shared evenly. What a process failed at is done here.
    """
    count = min(count, len(tasks))
    if count <= 1:
        return _here(work, tasks)
    shares = [tasks[number::count] for number in range(count)]
    with ExitStack() as stack:
        children = [_start(work, stack) for _ in shares[1:]]
        # All get their share before any is waited for; this process works on one too.
        for child, share in zip(children, shares[1:], strict=True):
            _send(child, share)
        done = [_here(work, shares[0])]
        for child, share in zip(children, shares[1:], strict=True):
            answer = _receive(child, len(share))
            done.append(_here(work, share) if answer is None else answer)
    return [done[place % count][place // count] for place in range(len(tasks))]


def _here(work: Share, share: list[Any]) -> list[Any]:
    with threadpool_limits(1):
        return work(share)


def _start(work: Share, stack: ExitStack) -> subprocess.Popen[bytes] | None:
    environ = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", __name__, f"{work.__module__}:{work.__name__}"]
    try:
        child = subprocess.Popen(  # noqa: S603 (this interpreter, with a module of ours)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
        )
    except OSError as error:
        log.warning("No process could be started (%s): its share is done here", error)
        return None
    stack.enter_context(child)  # closes the pipes and waits
    stack.callback(child.kill)  # before that; one that has ended takes no notice
    return child


def _send(child: subprocess.Popen[bytes] | None, share: list[Any]) -> None:
    if child is None or child.stdin is None:
        return
    try:
        child.stdin.write(json.dumps(share).encode())
        child.stdin.close()
    except OSError:  # it ended before it had read: what it left undone is seen when its answer is missing
        log.debug("Process %d took no tasks", child.pid)


def _receive(child: subprocess.Popen[bytes] | None, expected: int) -> list[Any] | None:
    """The answer, or None where there is none that can be used."""
    if child is None or child.stdout is None:
        return None
    answer, code = child.stdout.read(), child.wait()
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if code or not isinstance(found, list) or len(found) != expected:
        log.warning("A process ended with %d and without an answer: its share is done here", code)
        return None
    return found


def main() -> None:
    """In a process of its own: the function that is named, from standard input to standard output."""
    module, _, function = sys.argv[1].partition(":")
    work: Share = getattr(importlib.import_module(module), function)
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a library prints is no answer
    json.dump(work(json.load(sys.stdin)), answers)


if __name__ == "__main__":
    main()
