"""Templates of the page and of the report: each with its own, and the parts that both share."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

LOOK = "forecasting.reporting.theme"


def environment(package: str) -> Environment:
    """Templates of a package, and `shared.html`. Values are text, never HTML; an unknown name is an error."""
    loader = ChoiceLoader([PackageLoader(package), PackageLoader(LOOK)])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def style() -> str:
    """The style sheet that both share."""
    return files(LOOK).joinpath("static", "look.css").read_text(encoding="utf-8")
