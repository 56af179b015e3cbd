"""Configuration: what a file, the environment and --set may say, and what a wrong one is told."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from forecasting.core.config.sections import FileSource, Section, SqlSource
from forecasting.core.config.settings import Settings, load
from forecasting.core.errors import SettingsError

MINIMAL = """
[sources.shop]
kind = "sql"
url = "sqlite:///shop.db"

[extract.sales]
source = "shop"
table = "sales"
"""


@pytest.fixture
def write(tmp_path):
    """A function that writes a configuration file and gives its path."""

    def written(text: str = MINIMAL) -> Path:
        file = tmp_path / "shop.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return written


def refused(file: Path, *changes: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as error:
        load(file, changes, environ or {})
    return str(error.value)


# ---------------------------------------------------------------- what is read


def test_one_source_and_one_table_are_enough(write):
    settings = load(write(), environ={})
    assert settings.sources == {"shop": SqlSource(kind="sql", url="sqlite:///shop.db")}
    assert settings.extract.sales.table == "sales"
    assert (settings.panel.frequency, settings.panel.horizon) == ("D", 28)
    assert settings.warehouse.url == "sqlite:///var/warehouse.db"
    assert settings.demo is None


def test_a_source_s_kind_decides_what_it_is(write):
    text = MINIMAL.replace('kind = "sql"\nurl = "sqlite:///shop.db"', 'kind = "files"\npath = "s3://shop/out"')
    settings = load(write(text.replace('table = "sales"', 'path = "sales/*.parquet"')), environ={})
    assert settings.sources["shop"] == FileSource(kind="files", path="s3://shop/out")


def test_source_tables_lists_what_is_declared(write):
    signals = """
[extract.prices]
source = "shop"
table = "prices"

[[extract.signals]]
name = "weather"
known = "afterwards"
source = "shop"
table = "weather"
"""
    tables = load(write(MINIMAL + signals), environ={}).source_tables()
    assert list(tables) == ["sales", "prices", "signal_weather"]


def test_the_order_is_file_environment_set(write):
    file = write(MINIMAL + "\n[panel]\nhorizon = 7\n")
    environ = {"FORECASTING__PANEL__HORIZON": "14", "UNRELATED__PANEL__HORIZON": "1"}
    assert load(file, environ={}).panel.horizon == 7
    assert load(file, environ=environ).panel.horizon == 14
    assert load(file, ["panel.horizon=21", "panel.horizon = 28"], environ).panel.horizon == 28


@pytest.mark.parametrize(
    ("change", "section", "key", "value"),
    [
        ("train.force=true", "train", "force", True),
        ('train.models=["arima"]', "train", "models", ("arima",)),
        ("screen.max_quarantined=0.5", "screen", "max_quarantined", 0.5),
        ("warehouse.url=postgresql://localhost/x?a=b", "warehouse", "url", "postgresql://localhost/x?a=b"),
        ("warehouse.schema=out", "warehouse", "namespace", "out"),
        ('panel.unique_id="{item}"', "panel", "unique_id", "{item}"),
        ("panel.unique_id={item}", "panel", "unique_id", "{item}"),
        ("sources.shop.url=sqlite:///other.db", "sources", "shop", SqlSource(kind="sql", url="sqlite:///other.db")),
    ],
)
def test_set_understands_toml_values_and_plain_text(write, change, section, key, value):
    holder = getattr(load(write(), [change], {}), section)
    assert (holder[key] if isinstance(holder, dict) else getattr(holder, key)) == value


def test_settings_are_frozen(write):
    settings = load(write(), environ={})
    with pytest.raises(ValidationError, match="frozen"):
        settings.panel.horizon = 3


def test_the_digest_follows_what_can_change_a_number(write):
    plain = load(write(), environ={}).digest()
    assert len(plain) == 16
    assert load(write(), environ={}).digest() == plain
    for place in ("warehouse.url=sqlite:///x", "lake.path=elsewhere", "mlflow.experiment=other", "runtime.threads=1"):
        assert load(write(), [place], {}).digest() == plain, place
    for number in ("panel.horizon=7", "train.seed=8", "screen.max_price=10", "train.lightgbm.trees=10"):
        assert load(write(), [number], {}).digest() != plain, number


# ---------------------------------------------------------------- what is refused, and how it is told


def test_no_file(tmp_path):
    message = refused(tmp_path / "none.toml")
    assert "no configuration file" in message
    assert str(tmp_path / "none.toml") in message
    assert "conf/demo.toml" in message


def test_not_toml(write):
    message = refused(write("[panel\nhorizon = 7"))
    assert "shop.toml is not valid TOML" in message
    assert "line 1" in message


def test_not_utf8(tmp_path):
    file = tmp_path / "shop.toml"
    file.write_bytes("[sources.gesch\xe4ft]".encode("latin-1"))
    assert "not valid TOML" in refused(file)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("panel.horizons=7", "panel.horizons: unknown key; did you mean horizon?"),
        ("pannel.horizon=7", "pannel: unknown key; did you mean panel?"),
        ("train.lightgbm.tree=7", "train.lightgbm.tree: unknown key; did you mean trees?"),
        ("lake.xyz=7", "lake.xyz: unknown key; allowed are: options, path"),
        ("extract.sales.tabel=x", "extract.sales.tabel: unknown key; did you mean table?"),
        ("warehouse.shema=x", "warehouse.shema: unknown key; did you mean schema?"),
    ],
)
def test_an_unknown_key_is_named_with_what_may_have_been_meant(write, change, told):
    message = refused(write(), change)
    assert told in message
    assert "shop.toml is not a valid configuration" in message


@pytest.mark.parametrize(
    ("change", "key", "found"),
    [
        ("panel.horizon=soon", "panel.horizon", "'soon'"),
        ("panel.horizon=0", "panel.horizon", "'0'"),
        ("panel.horizon=1.5", "panel.horizon", "'1.5'"),
        ("screen.max_quarantined=20", "screen.max_quarantined", "'20'"),
        ("train.folds=2", "train.folds", "'2'"),
        ("train.metric=mape", "train.metric", "'mape'"),
        ("train.models=[]", "train.models", "'[]'"),
        ("extract.sales.returns=refund", "extract.sales.returns", "'refund'"),
        ("name=My Shop", "name", "'My Shop'"),
        ("demo.first_cutoff=30.6.2026", "demo.first_cutoff", "'30.6.2026'"),
    ],
)
def test_a_wrong_value_is_told_with_key_and_what_was_found(write, change, key, found):
    message = refused(write(), change)
    assert f"  {key}: " in message
    assert f"(found {found}" in message


def test_fewer_folds_are_for_trainings_that_choose_nothing(write):
    alone = ("train.models=['lightgbm']", "train.blend=false", "train.folds=1")
    assert load(write(), alone).train.folds == 1
    for change in ("train.models=['lightgbm', 'arima']", "train.blend=true"):
        assert "  train.folds: " in refused(write(), *alone, change)


def test_what_is_allowed_is_told(write):
    message = refused(write(), "train.metric=mape")
    assert all(metric in message for metric in ("wrmsse", "rmsse", "mase", "wape"))
    assert "W-MON" in refused(write(), "panel.frequency=weekly")


def test_a_missing_section(write):
    assert "extract: missing, and it has no default" in refused(write('[sources.a]\nkind = "sql"\nurl = "x"\n'))
    assert "sources: missing, and it has no default" in refused(
        write(MINIMAL.split("[extract.sales]")[1].join(["[extract.sales]", ""]))
    )


def test_a_source_that_is_not_declared(write):
    message = refused(write(), "extract.sales.source=till")
    assert "extract.sales.source: no [sources.till]; there are: shop" in message


def test_a_change_to_a_source_that_is_not_there(write):
    assert "sources.till: no such source, or one without kind" in refused(write(), "sources.till.path=x")


def test_a_source_of_a_kind_that_does_not_exist(write):
    message = refused(write(), "sources.shop.kind=fax")
    assert "sources.shop" in message
    assert "'sql', 'files'" in message


@pytest.mark.parametrize("change", ["extract.sales.path=a.csv", "extract.prices={source='shop'}"])
def test_a_table_lies_in_one_place(write, change):
    assert "name exactly one of `table`" in refused(write(), change)


def test_every_problem_is_told_at_once(write):
    message = refused(write(), "panel.horizon=0", "train.fold=3", "extract.sales.source=till")
    assert message.count("\n  ") == 2  # the source is looked up once the sections themselves are right
    assert "panel.horizon" in message
    assert "train.fold: unknown key; did you mean folds?" in message


def test_set_without_a_value(write):
    assert refused(write(), "panel.horizon") == "--set panel.horizon: write it as section.key=value"


def test_set_below_a_value(write):
    assert "url is a value, not a section" in refused(write(), "sources.shop.url.port=5432")


def test_the_environment_is_checked_like_the_file(write):
    message = refused(write(), environ={"FORECASTING__PANEL__HORIZN": "7"})
    assert "panel.horizn: unknown key; did you mean horizon?" in message


# ---------------------------------------------------------------- the settings themselves


def sections(model: type[BaseModel] = Settings) -> set[type[BaseModel]]:
    """Every section class that Settings is made of."""
    found = {model}
    todo = [field.annotation for field in model.model_fields.values()]
    while todo:
        annotation = todo.pop()
        todo += getattr(annotation, "__args__", ())
        if isinstance(annotation, type) and issubclass(annotation, Section):
            found |= sections(annotation)
    return found


def test_every_section_is_frozen_and_closed():
    assert len(sections()) > 15
    for section in sections():
        assert section.model_config["frozen"], section
        assert section.model_config["extra"] == "forbid", section
        assert section.__doc__, section


def test_every_knob_says_what_it_is():
    bare = [
        f"{section.__name__}.{name}"
        for section in sections()
        for name, field in section.model_fields.items()
        if field.annotation in (int, float, str, bool) and not field.description
    ]
    assert bare == []


EXAMPLES = sorted(Path(__file__).parents[3].glob("conf/**/*.toml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_configurations_in_the_project_are_valid(file):
    settings = load(file, environ={})
    assert settings.source_tables()["sales"].source in settings.sources
    assert tomllib.loads(file.read_text(encoding="utf-8"))
