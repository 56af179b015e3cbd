"""What only files do: formats, globs, buckets, and all the ways in which a file can be broken."""

import gzip
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forecasting.core.config.settings import Settings
from forecasting.core.errors import SourceError
from forecasting.sources import open_source

LINES = "item,ds,y,note\n007,2026-01-01,3,a\nA,2026-01-02,two,b\nA,2026-01-03 09:00,-1,c\n"


def described(folder: Path | str, path: str, options: dict | None = None, **columns: str) -> Settings:
    """A business whose sales lie in a file."""
    source = {"kind": "files", "path": str(folder), "options": options or {}}
    sales = {"source": "shop", "path": path, "columns": columns}
    return Settings.model_validate({"sources": {"shop": source}, "extract": {"sales": sales}})


def read(folder: Path, path: str, start: date | None = None, end: date | None = None, **columns: str) -> pd.DataFrame:
    return open_source(described(folder, path, **columns), "sales").read(start, end)


def test_a_csv_is_text_to_the_last_zero(tmp_path: Path):
    (tmp_path / "sales.csv").write_text(LINES)
    frame = read(tmp_path, "sales.csv")
    assert frame.astype("object").to_numpy().tolist() == [
        ["007", "2026-01-01", "3"],
        ["A", "2026-01-02", "two"],
        ["A", "2026-01-03 09:00", "-1"],
    ]
    assert isinstance(frame["item"].dtype, pd.CategoricalDtype)


def test_a_compressed_csv(tmp_path: Path):
    (tmp_path / "sales.csv.gz").write_bytes(gzip.compress(LINES.encode()))
    assert read(tmp_path, "sales.csv.gz", date(2026, 1, 2), date(2026, 1, 3))["y"].tolist() == ["two", "-1"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_and_a_byte_order_mark(tmp_path: Path, delimiter: str):
    (tmp_path / "sales.csv").write_text(LINES.replace(",", delimiter), encoding="utf-8-sig")
    assert read(tmp_path, "sales.csv")["item"].tolist() == ["007", "A", "A"]


def test_quotes_hide_delimiters_and_line_breaks(tmp_path: Path):
    (tmp_path / "sales.csv").write_text('"item","ds","y"\n"a, ""b""\nc",2026-01-01,1\n')
    assert read(tmp_path, "sales.csv")["item"].tolist() == ['a, "b"\nc']


def test_a_glob_reads_all_its_files(tmp_path: Path):
    for number in (1, 2):
        (tmp_path / f"sales_{number}.csv").write_text(f"item,ds,y\nitem{number},2026-01-0{number},{number}\n")
    frame = read(tmp_path, "sales_*.csv")
    assert frame["item"].tolist() == ["item1", "item2"]
    assert isinstance(frame["item"].dtype, pd.CategoricalDtype)


def test_a_file_of_a_glob_that_lacks_a_column_is_named(tmp_path: Path):
    (tmp_path / "sales_1.csv").write_text("item,ds,y\nA,2026-01-01,1\n")
    (tmp_path / "sales_2.csv").write_text("item,ds,units\nA,2026-01-02,1\n")
    with pytest.raises(SourceError, match=r"sales_2\.csv has no column 'y'.*It has: item, ds, units"):
        read(tmp_path, "sales_*.csv")


@pytest.mark.parametrize(
    "kind",
    [
        pa.date32(),
        pa.date64(),
        pa.timestamp("us"),
        pa.timestamp("ns", "UTC"),
        pa.string(),
        pa.large_string(),
        pa.dictionary(pa.int32(), pa.string()),
    ],
    ids=str,
)
def test_every_type_of_date_is_compared_as_a_date(tmp_path: Path, kind: pa.DataType):
    days = pa.array([date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3), None])
    texts = days.cast(pa.string())
    column = texts.dictionary_encode() if pa.types.is_dictionary(kind) else days.cast(kind)
    pq.write_table(pa.table({"item": list("ABCD"), "ds": column, "y": [1, 2, 3, 4]}), tmp_path / "sales.parquet")
    frame = read(tmp_path, "sales.parquet", date(2026, 1, 2), date(2026, 1, 2))
    assert frame["y"].tolist() == [2, 4]
    assert read(tmp_path, "sales.parquet", None, date(2026, 1, 1))["y"].tolist() == [1, 4]


def test_instants_become_business_days_of_the_zone(tmp_path: Path):
    instants = pd.to_datetime(["2026-01-01 23:30", "2026-01-02 22:30"], utc=True)
    pd.DataFrame({"item": ["A", "B"], "ds": instants, "y": [1, 2]}).to_parquet(tmp_path / "sales.parquet")
    settings = described(tmp_path, "sales.parquet")
    settings = settings.model_copy(
        update={"extract": settings.extract.model_copy(update={"timezone": "Europe/Berlin"})}
    )
    frame = open_source(settings, "sales").read(date(2026, 1, 2), date(2026, 1, 2))
    assert frame["ds"].tolist() == [pd.Timestamp("2026-01-02 00:30"), pd.Timestamp("2026-01-02 23:30")]


@pytest.mark.parametrize("kind", ["csv", "sqlite"])
def test_moments_as_text_become_business_days_of_the_zone(tmp_path: Path, kind: str):
    """Of a zone that is named; with UTC, that of the settings as they come, a text keeps the day that it shows."""
    texts = ["2026-01-01T23:30:00Z", "2026-01-02 22:30:00+00:00", "2026-01-02T18:30:00-05:00", "2026-01-02", "soon"]
    frame = pd.DataFrame({"item": list("ABCDE"), "ds": texts, "y": [1, 2, 3, 4, 5]})
    frame.to_csv(tmp_path / "sales.csv", index=False)
    settings = described(tmp_path, "sales.csv")
    if kind == "sqlite":
        with sqlite3.connect(tmp_path / "shop.db") as database:
            frame.to_sql("sales", database, index=False)
        content = settings.model_dump(exclude_unset=True)
        content["sources"] = {"shop": {"kind": "sql", "url": f"sqlite:///{tmp_path}/shop.db"}}
        content["extract"]["sales"] |= {"table": "sales", "path": None, "source": "shop"}
        settings = Settings.model_validate(content)
    assert read_on(settings, "UTC", date(2026, 1, 2)) == ["B", "C", "D", "E"]
    assert read_on(settings, "Europe/Berlin", date(2026, 1, 2)) == ["A", "B", "D", "E"]
    assert read_on(settings, "Europe/Berlin", date(2026, 1, 3)) == ["C", "E"]


def read_on(settings: Settings, zone: str, day: date) -> list[str]:
    extract = settings.extract.model_copy(update={"timezone": zone})
    return open_source(settings.model_copy(update={"extract": extract}), "sales").read(day, day)["item"].tolist()


def test_dictionaries_stay_categories_and_numbers_stay_numbers(tmp_path: Path):
    frame = pd.DataFrame({"item": pd.Categorical(["A", "B", "A"]), "ds": "2026-01-01", "y": [1.5, 2.0, None]})
    frame.to_parquet(tmp_path / "sales.parquet")
    found = read(tmp_path, "sales.parquet")
    assert isinstance(found["item"].dtype, pd.CategoricalDtype)
    assert found["y"].dtype == "float64"


@pytest.mark.parametrize("name", ["sales.csv", "sales.csv.gz", "sales.parquet"])
def test_an_empty_file_is_named(tmp_path: Path, name: str):
    (tmp_path / name).touch()
    with pytest.raises(SourceError, match=rf"{name} is empty \(0 bytes\)"):
        read(tmp_path, name)


def test_a_file_with_a_header_only_has_no_rows(tmp_path: Path):
    (tmp_path / "sales.csv").write_text("item,ds,y\n")
    assert read(tmp_path, "sales.csv", date(2026, 1, 1), None).empty


def test_a_blank_first_line_is_no_header(tmp_path: Path):
    (tmp_path / "sales.csv").write_text("\nA,2026-01-01,1\n")
    with pytest.raises(SourceError, match="no first line with column names"):
        read(tmp_path, "sales.csv")


def test_truncated_files_are_named(tmp_path: Path):
    whole = pd.DataFrame({"item": ["A"] * 999, "ds": "2026-01-01", "y": range(999)})
    whole.to_parquet(tmp_path / "sales.parquet")
    whole.to_csv(tmp_path / "sales.csv.gz", index=False)
    for name in ("sales.parquet", "sales.csv.gz"):
        file = tmp_path / name
        file.write_bytes(file.read_bytes()[:-200])
        with pytest.raises(SourceError, match=rf"{name} cannot be read"):
            read(tmp_path, name)


def test_a_file_that_is_not_what_its_name_says(tmp_path: Path):
    for name in ("sales.parquet", "sales.csv.gz"):
        (tmp_path / name).write_text(LINES)
        with pytest.raises(SourceError, match=rf"{name} cannot be read"):
            read(tmp_path, name)


def test_a_line_with_too_many_cells_is_shown(tmp_path: Path):
    (tmp_path / "sales.csv").write_text("item,ds,y\nA,2026-01-01,1\nB,2026-01-01,1,000\n")
    with pytest.raises(SourceError, match=r"sales\.csv cannot be read.*[Ee]xpected 3 columns, got 4"):
        read(tmp_path, "sales.csv")


def test_another_encoding_is_asked_to_be_utf_8(tmp_path: Path):
    (tmp_path / "sales.csv").write_bytes("item,ds,y\nKäse,2026-01-01,1\n".encode("latin-1"))
    with pytest.raises(SourceError, match="Save it as UTF-8"):
        read(tmp_path, "sales.csv")


def test_a_missing_file_is_named_with_what_is_there(tmp_path: Path):
    (tmp_path / "umsatz.csv").write_text(LINES)
    with pytest.raises(
        SourceError, match=r"no file .*/sales\.csv\. The folder holds: umsatz\.csv.*extract\.sales\.path"
    ):
        read(tmp_path, "sales.csv")
    with pytest.raises(SourceError, match=r"no file .*/nowhere/sales\.csv\. The folder does not exist"):
        read(tmp_path / "nowhere", "sales.csv")
    with pytest.raises(SourceError, match=r"no file .*sales_\*\.csv"):
        read(tmp_path, "sales_*.csv")


def test_an_unknown_ending_is_refused(tmp_path: Path):
    (tmp_path / "sales.xlsx").write_text("x")
    with pytest.raises(SourceError, match=r"sales\.xlsx: the format is not known.*\.csv\.gz, \.parquet"):
        read(tmp_path, "sales.xlsx")


def test_an_unknown_protocol_is_refused():
    with pytest.raises(SourceError, match=r"sources\.shop: nosuch://folder cannot be opened"):
        open_source(described("nosuch://folder", "sales.csv"), "sales").read(None, None)


def test_codes_that_no_calendar_lists_are_not_all_passed_over(tmp_path: Path):
    (tmp_path / "sales.csv").write_text(LINES)
    (tmp_path / "prices.csv").write_text("item,week,price\nA,1,2.5\n")
    (tmp_path / "weeks.csv").write_text("week,day\n2026-W01,2026-01-01\n")
    settings = described(tmp_path, "sales.csv").model_dump(by_alias=True, exclude_none=True)
    settings["extract"]["prices"] = {
        "source": "shop",
        "path": "prices.csv",
        "dates": {"path": "weeks.csv", "key": "week", "date": "day"},
    }
    with pytest.raises(
        SourceError, match=r"none of the codes in prices\.csv \(1\) is in its column 'week' \(2026-W01\)"
    ):
        open_source(Settings.model_validate(settings), "prices").read(None, None)


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict]:
    """Options of an S3 server of our own, with a bucket `shop` and two months of sales."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}", "key": "test", "secret": "test"}
    client = boto3.client(
        "s3",
        endpoint_url=options["endpoint_url"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="shop")
    for month in (1, 2):
        frame = pd.DataFrame({"item": ["A", "B"], "ds": pd.Timestamp(2026, month, 1), "y": [month, month * 10]})
        client.put_object(Bucket="shop", Key=f"export/sales_{month}.parquet", Body=frame.to_parquet())
    client.put_object(Bucket="shop", Key="export/sales.csv", Body=LINES.encode())
    client.put_object(Bucket="shop", Key="export/empty.csv", Body=b"")
    yield options
    server.stop()


def test_a_bucket_is_a_folder(bucket: dict):
    parquet = open_source(described("s3://shop/export", "sales_*.parquet", bucket), "sales")
    assert parquet.read(None, None)["y"].tolist() == [1, 10, 2, 20]
    assert parquet.read(date(2026, 2, 1), None)["y"].tolist() == [2, 20]
    csv = open_source(described("s3://shop/export/", "sales.csv", bucket), "sales")
    assert csv.read(None, date(2026, 1, 2))["y"].tolist() == ["3", "two"]


def test_errors_of_a_bucket_name_the_address(bucket: dict):
    for folder, path, message in [
        ("s3://shop/export", "empty.csv", r"s3://shop/export/empty\.csv is empty"),
        ("s3://shop/export", "none.csv", r"no file s3://shop/export/none\.csv\. The folder holds: .*sales\.csv"),
        ("s3://nobody/export", "sales.csv", r"s3://nobody/export/sales\.csv"),
    ]:
        with pytest.raises(SourceError, match=message):
            open_source(described(folder, path, bucket), "sales").read(None, None)


def test_a_bucket_that_does_not_answer():
    options = {
        "endpoint_url": "http://127.0.0.1:1",
        "key": "x",
        "secret": "x",
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }
    with pytest.raises(SourceError, match=r"s3://shop/export/sales\.csv cannot be read"):
        open_source(described("s3://shop/export", "sales.csv", options), "sales").read(None, None)
