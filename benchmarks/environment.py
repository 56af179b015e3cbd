"""The peers' environments: built on first use, and again when their list of packages changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def python(name: str = "peers") -> str:
    """The interpreter of `.venv-<name>`, which holds exactly what `requirements-<name>.txt` lists."""
    wanted = HERE / f"requirements-{name}.txt"
    place = HERE.parent / f".venv-{name}"
    stamp, interpreter = place / ".installed", place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted.read_text(encoding="utf-8"):
        print(f"Building {place.name} from {wanted.name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        subprocess.run([str(interpreter), "-m", "pip", "install", "-q", "-r", str(wanted)], check=True)
        stamp.write_text(wanted.read_text(encoding="utf-8"), encoding="utf-8")
    return str(interpreter)
