"""A lock that one process of a deployment holds at a time, on either database."""

from __future__ import annotations

import subprocess
import sys
import threading

from forecasting.core.config.sections import WarehouseSettings
from forecasting.storage.locks import alone

HOLD = """
import sys
from forecasting.core.config.sections import WarehouseSettings
from forecasting.storage.locks import alone
with alone(WarehouseSettings.model_validate_json(sys.argv[1]), "train"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_waits_until_the_first_is_killed(warehouse_settings: WarehouseSettings) -> None:
    told = warehouse_settings.model_dump_json(by_alias=True)
    command = [sys.executable, "-c", HOLD, told]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with alone(warehouse_settings, "extract"):  # another name is another lock
            pass
        inside = threading.Event()

        def second() -> None:
            with alone(warehouse_settings, "train"):
                inside.set()

        waiting = threading.Thread(target=second, daemon=True)
        waiting.start()
        assert not inside.wait(1)
        first.kill()
        assert inside.wait(20)
        waiting.join()
