"""The configurations that come with the project: valid, and true of the data that they describe."""

from datetime import date
from pathlib import Path

import pytest

from forecasting.core.config.sections import FileSource
from forecasting.core.config.settings import Settings, load
from forecasting.sources import open_source

CONF = Path(__file__).parents[2] / "conf"


def described(name: str) -> Settings:
    """Settings of an example, whose data must be there."""
    file = CONF / "examples" / f"{name}.toml"
    settings = load(file, [], {})
    ((key, source),) = settings.sources.items()
    assert isinstance(source, FileSource)
    folder = CONF.parent / source.path
    if not folder.is_dir():
        pytest.skip(f"the public data set is not here: {source.path} beside the project")
    return load(file, [f"sources.{key}.path={folder.resolve()}"], {})


@pytest.mark.parametrize("file", sorted(CONF.rglob("*.toml")), ids=lambda file: file.stem)
def test_every_configuration_is_valid(file: Path):
    assert load(file, [], {}).source_tables()


@pytest.mark.data
def test_m5_is_as_described():
    settings = described("m5")
    sales = open_source(settings, "sales").read(date(2016, 4, 23), date(2016, 4, 24))
    assert len(sales) == 60_934  # 30,490 series twice, less those that have not begun
    assert len(open_source(settings, "items").read(None, None)) == 3_049
    assert set(open_source(settings, "stores").read(None, None).columns) == {"store", "state_id"}
    prices = open_source(settings, "prices").read(date(2016, 4, 23), date(2016, 4, 29))
    assert set(prices["ds"].dropna().dt.date) == {date(2016, 4, 23)}  # the week begins on a Saturday
    assert open_source(settings, "events").read(date(2015, 12, 25), date(2015, 12, 25))["event"].tolist() == [
        "Christmas"
    ]
    snap = open_source(settings, "signal_snap").read(date(2016, 4, 1), date(2016, 4, 30))
    assert snap.groupby("group")["value"].sum().to_dict() == {"CA": 10, "TX": 10, "WI": 10}


@pytest.mark.data
def test_online_retail_is_as_described():
    settings = described("online_retail")
    lines = open_source(settings, "sales").read(None, None)
    assert len(lines) == 541_909
    codes = lines["item"].astype("str").drop_duplicates()
    excluded = codes[codes.str.fullmatch(settings.extract.sales.exclude_items or "")]
    assert {"POST", "DOT", "BANK CHARGES", "gift_0001_20"} <= set(excluded)
    assert not excluded.str.match(r"\d").any()  # products have numbers
    assert len(codes[~codes.str.match(r"\d")]) - len(excluded) == 16  # the DCGS products
