"""Module names that are written down outside of this code still lead to what they named."""

import ast
from importlib.util import module_from_spec
from pathlib import Path

import pytest

from forecasting.core.old_names import OLD, PACKAGES, OldNames

ROOT = Path(__file__).parents[2]


def loaded(name):
    """The module that the finder makes, whatever else could be imported by the name."""
    spec = OldNames().find_spec(name, None)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("old", "names"),
    [
        ("forecasting.data.frequency", {"Frequency"}),
        ("forecasting.data.panel", {"Matrix", "Panel"}),
        ("forecasting.errors", {"TableError", "some"}),
        ("forecasting.stores.manifest", {"verify"}),
    ],
)
def test_a_model_folder_s_script_finds_what_it_imports(old, names):
    assert names <= vars(loaded(old)).keys()


@pytest.mark.parametrize(
    ("old", "name"), [("forecasting.deadline", "report_late"), ("forecasting.planner.plugin", "ForecastsPlugin")]
)
def test_what_airflow_has_written_down_leads_to_a_module_that_defines_it(old, name):
    tree = ast.parse((ROOT / (OLD[old].replace(".", "/") + ".py")).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_old_packages_are_empty_and_other_names_are_not_there():
    assert sorted(PACKAGES) == ["forecasting.data", "forecasting.planner", "forecasting.stores"]
    assert loaded("forecasting.data").__path__ == []
    assert OldNames().find_spec("forecasting.data.nothing", None) is None


def test_the_notebook_s_functions_have_a_public_address():
    from forecasting import read
    from forecasting.reporting import notebook

    assert read.latest is notebook.latest
