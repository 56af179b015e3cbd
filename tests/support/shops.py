"""A whole small deployment in a folder: the demo retailer with few series, cheap models, embedded stores."""

from __future__ import annotations

import functools
import json
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]

SMALL = {
    "demo.stores": 2,
    "demo.items": 6,
    "demo.days": 150,
    "panel.horizon": 7,
    "train.models": ["seasonal_naive", "seasonal_mean", "lightgbm"],
    "train.lightgbm": {"rows": 4000, "trees": 20, "leaves": 7, "min_rows_leaf": 20, "origins": 6},
}


def small_shop(folder: Path, **changes: object) -> Path:
    """Write conf.toml for a tiny demo retailer whose stores all lie in `folder`; `a__b=1` sets a.b.

    MLflow's database is there, empty: to make one takes it seconds of migrations, which one shop a process pays.
    """
    (folder / "mlflow.db").write_bytes(_empty_registry())
    text = (ROOT / "conf" / "demo.toml").read_text().replace("var/", f"{folder}/")
    path = folder / "conf.toml"
    path.write_text(changed(text, SMALL | {name.replace("__", "."): value for name, value in changes.items()}))
    return path


@functools.cache
def _empty_registry() -> bytes:
    from forecasting.core.config.sections import MlflowSettings
    from forecasting.storage.registry.registry import Registry

    with tempfile.TemporaryDirectory(prefix="forecasting-mlflow-") as folder:
        database = Path(folder) / "mlflow.db"
        assert Registry(MlflowSettings(tracking_uri=f"sqlite:///{database}")).champion() is None
        return database.read_bytes()


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
