"""A whole small deployment in a folder: the demo retailer with few series, cheap models, embedded stores."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

SMALL = {
    "demo.stores": 2,
    "demo.items": 6,
    "demo.days": 150,
    "panel.horizon": 7,
    "train.models": ["seasonal_naive", "seasonal_mean", "lightgbm"],
    "train.lightgbm": {"rows": 4000, "trees": 20, "leaves": 7, "min_rows_leaf": 20, "origins": 6},
}


def small_shop(folder: Path, **changes: object) -> Path:
    """Write conf.toml for a tiny demo retailer whose stores all lie in `folder`; `a__b=1` sets a.b."""
    text = (ROOT / "conf" / "demo.toml").read_text().replace("var/", f"{folder}/")
    path = folder / "conf.toml"
    path.write_text(changed(text, SMALL | {name.replace("__", "."): value for name, value in changes.items()}))
    return path


def changed(text: str, changes: Mapping[str, object]) -> str:
    """A TOML text with other values, by names such as `train.models`."""
    content = tomllib.loads(text)
    for key, value in changes.items():
        *sections, last = key.split(".")
        section = content
        for name in sections:
            section = section.setdefault(name, {})
        section[last] = value
    return _toml(content)


def _toml(content: dict, prefix: str = "") -> str:
    plain = {key: value for key, value in content.items() if not isinstance(value, dict)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    for key, value in content.items():
        if isinstance(value, dict):
            lines += [f"\n[{prefix}{key}]", _toml(value, f"{prefix}{key}.")]
    return "\n".join(lines)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return json.dumps(value)
