"""M5 with every store there several times: noisy copies, made row group by row group, the same on every machine."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

SEED = 5
TEXT = pa.dictionary(pa.int32(), pa.string())


def make(data: Path, place: Path, copies: int, days: Sequence[date]) -> list[Path]:
    """Write the files of M5 with `copies` times its stores to `place`; the sales stop at the last of `days`.

    data: the folder of M5. Gives back the sales files, one of the days up to each of `days` and after the one before,
    so that nights may find them one after the other. Units of a copy are Poisson around the original's, its prices lie
    up to a twentieth beside them; the first copy is the original.
    """
    place.mkdir(parents=True)
    for name in ("items", "calendar"):
        shutil.copyfile(data / f"{name}.parquet", place / f"{name}.parquet")
    stores = pq.read_table(data / "stores.parquet")
    pq.write_table(pa.concat_tables([_renamed(stores, copy) for copy in range(copies)]), place / "stores.parquet")
    _prices(data, place, copies)
    return _sales(data, place, copies, days)


def _renamed(table: pa.Table, copy: int) -> pa.Table:
    """The stores' names with the number of the copy."""
    at, names = table.schema.get_field_index("store_id"), table["store_id"].cast(pa.string())
    if copy:
        names = pc.binary_join_element_wise(names, f"C{copy:02d}", "-")
    return table.set_column(at, "store_id", names.cast(TEXT))


def _sales(data: Path, place: Path, copies: int, days: Sequence[date]) -> list[Path]:
    source = pq.ParquetFile(data / "sales.parquet")
    files = [place / f"sales-{day}.parquet" for day in days]
    writers: dict[Path, pq.ParquetWriter] = {}
    for number in range(source.num_row_groups):
        group = source.read_row_group(number)
        parts = []
        for copy in range(copies):
            noise = np.random.default_rng([SEED, copy, number])
            units = group["units"].to_numpy()
            mine = _renamed(group, copy)
            noisy = pa.array(noise.poisson(units).astype(np.int32) if copy else units)
            parts.append(mine.set_column(mine.schema.get_field_index("units"), "units", noisy))
        whole = pa.concat_tables(parts).unify_dictionaries()
        since = date.min
        for day, file in zip(days, files, strict=True):
            inside = pc.and_(pc.greater(whole["date"], pa.scalar(since)), pc.less_equal(whole["date"], pa.scalar(day)))
            chosen = whole.filter(inside)
            if file not in writers:
                writers[file] = pq.ParquetWriter(file, chosen.schema, compression="zstd")
            writers[file].write_table(chosen)
            since = day
    for writer in writers.values():
        writer.close()
    return files


def _prices(data: Path, place: Path, copies: int) -> None:
    source = pq.ParquetFile(data / "prices.parquet")
    items = pq.read_table(data / "items.parquet")["item_id"].cast(pa.string())
    factors = [_factors(copy, len(items)) for copy in range(copies)]
    writer = None
    for number in range(source.num_row_groups):
        group = source.read_row_group(number)
        item = pc.index_in(group["item_id"].cast(pa.string()), items.combine_chunks()).to_numpy()
        parts = []
        for copy in range(copies):
            mine = _renamed(group, copy)
            price = pa.array((mine["sell_price"].to_numpy() * factors[copy][item]).round(2).astype(np.float32))
            parts.append(mine.set_column(mine.schema.get_field_index("sell_price"), "sell_price", price))
        whole = pa.concat_tables(parts).unify_dictionaries()
        writer = writer or pq.ParquetWriter(place / "prices.parquet", whole.schema, compression="zstd")
        writer.write_table(whole)
    if writer:
        writer.close()


def _factors(copy: int, count: int) -> NDArray[np.float64]:
    """(n_items,) of the original's price."""
    if not copy:
        return np.ones(count)
    return np.random.default_rng([SEED, copy]).uniform(0.95, 1.05, count)
