"""Backup and restore of the embedded stores: what comes back forecasts as before."""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from forecasting.__main__ import main
from forecasting.core.config import settings as configuration
from forecasting.core.config.settings import Settings
from forecasting.core.errors import StoreError
from forecasting.sources.demo import database
from forecasting.steps.ingest.demo import tonight
from forecasting.steps.operate.reproduce import reproduce
from forecasting.storage import backup
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import FORECASTS
from tests.steps.test_night import night
from tests.support.shops import small_shop


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A tiny shop's configuration, its stores empty."""
    return small_shop(tmp_path, train__models=["seasonal_naive"], train__blend=False, train__folds=1)


@pytest.fixture
def settings(shop: Path) -> Settings:
    return configuration.load(shop)


def lose(settings: Settings, tmp_path: Path) -> None:
    """A disaster: all stores are gone."""
    for place in ("lake", "mlartifacts"):
        shutil.rmtree(tmp_path / place)
    for file in (*tmp_path.glob("warehouse.db*"), *tmp_path.glob("mlflow.db*")):
        file.unlink()


def test_what_is_restored_forecasts_as_before(shop: Path, settings: Settings, tmp_path: Path):
    cutoff = tonight(settings)
    night(settings, cutoff)
    before = Warehouse(settings.warehouse).read(FORECASTS)
    assert main(["backup", "--conf", str(shop), "--to", str(tmp_path / "saved")]) == 0
    lose(settings, tmp_path)
    assert main(["restore", "--conf", str(shop), "--from", str(tmp_path / "saved")]) == 0
    pd.testing.assert_frame_equal(Warehouse(settings.warehouse).read(FORECASTS), before)
    assert reproduce(settings, cutoff, False)["equal"]  # from the lake and the registry that came back
    database.advance(settings, cutoff + timedelta(days=1))
    night(settings, cutoff + timedelta(days=1), "next")
    assert Warehouse(settings.warehouse).cutoffs() == [cutoff + timedelta(days=1), cutoff]


def small_stores(tmp_path: Path) -> None:
    """Stores with something in them, without a night."""
    for name in ("warehouse.db", "mlflow.db"):
        with sqlite3.connect(tmp_path / name) as connection:
            connection.execute("CREATE TABLE t (i INTEGER)")
            connection.execute("INSERT INTO t VALUES (1)")
    for name in ("lake/sales/_delta_log/0.json", "lake/sales/a.parquet", "lake/.scratch/x", "mlartifacts/m/model.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)


def test_a_backup_sees_one_moment_of_a_database_that_is_being_written(settings: Settings, tmp_path: Path):
    small_stores(tmp_path)
    with sqlite3.connect(tmp_path / "warehouse.db") as writer:
        writer.execute("INSERT INTO t VALUES (2)")  # not committed
        backup.save(settings, tmp_path / "saved")
    with sqlite3.connect(tmp_path / "saved" / "warehouse.db") as saved:
        assert saved.execute("SELECT i FROM t").fetchall() == [(1,)]
    files = {str(file.relative_to(tmp_path / "saved")) for file in (tmp_path / "saved").rglob("*") if file.is_file()}
    assert files == {
        "warehouse.db", "mlflow.db", "lake/sales/_delta_log/0.json", "lake/sales/a.parquet",
        "artifacts/m/model.txt", "backup.json",
    }  # fmt: skip


def test_nothing_is_overwritten_unless_it_is_asked_for(settings: Settings, tmp_path: Path):
    small_stores(tmp_path)
    backup.save(settings, tmp_path / "saved")
    with pytest.raises(StoreError, match="is there already"):
        backup.save(settings, tmp_path / "saved")
    with pytest.raises(StoreError, match="Say --overwrite"):
        backup.restore(settings, tmp_path / "saved")
    (tmp_path / "lake" / "later").write_text("x")
    assert backup.restore(settings, tmp_path / "saved", overwrite=True) == 5
    assert not (tmp_path / "lake" / "later").exists()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def full_after(files: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that has no room any more after so many files."""
    copy, count = shutil.copyfile, iter(range(files))

    def limited(source: Path, target: Path) -> None:
        if next(count, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", limited)


def test_a_disk_that_is_full_leaves_no_half_backup(settings: Settings, tmp_path: Path, monkeypatch):
    small_stores(tmp_path)
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        full_after(1, patch)
        with pytest.raises(StoreError, match="No space left"):
            backup.save(settings, tmp_path / "saved")
    assert contents(tmp_path) == before
    backup.save(settings, tmp_path / "saved")


def test_what_a_killed_backup_has_left_is_no_backup(settings: Settings, tmp_path: Path):
    small_stores(tmp_path)
    backup.save(settings, tmp_path / "saved")
    half = tmp_path / "other.part"
    shutil.copytree(tmp_path / "saved", half)
    (half / "backup.json").unlink()
    with pytest.raises(StoreError, match="is no backup"):
        backup.restore(settings, half, overwrite=True)
    backup.save(settings, tmp_path / "other")
    assert not half.exists()


@pytest.mark.parametrize("files", [0, 1, 4])
def test_a_restore_that_fails_leaves_the_stores_as_they_were(settings, tmp_path, monkeypatch, files):
    small_stores(tmp_path)
    backup.save(settings, tmp_path / "saved")
    (tmp_path / "lake" / "later").write_text("x")
    (tmp_path / "warehouse.db-wal").touch()
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        full_after(files, patch)
        with pytest.raises(StoreError, match="No space left"):
            backup.restore(settings, tmp_path / "saved", overwrite=True)
    assert contents(tmp_path) == before
    assert backup.restore(settings, tmp_path / "saved", overwrite=True) == 5
    assert contents(tmp_path / "lake") == contents(tmp_path / "saved" / "lake")
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "conf.toml", "lake", "mlartifacts", "mlflow.db", "saved", "warehouse.db"
    ]  # fmt: skip


def test_a_store_that_cannot_be_moved_aside_keeps_the_others_too(settings, tmp_path, monkeypatch):
    """Such as a folder that is a disk of its own."""
    small_stores(tmp_path)
    backup.save(settings, tmp_path / "saved")
    before, rename = contents(tmp_path), Path.rename

    def busy(self: Path, target: Path) -> Path:
        if self.name == "mlartifacts":
            raise OSError(errno.EBUSY, "Device or resource busy")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", busy)
    with pytest.raises(StoreError, match="busy"):
        backup.restore(settings, tmp_path / "saved", overwrite=True)
    assert contents(tmp_path) == before


def test_a_damaged_backup_changes_nothing(settings: Settings, tmp_path: Path):
    small_stores(tmp_path)
    backup.save(settings, tmp_path / "saved")
    (tmp_path / "saved" / "lake" / "sales" / "a.parquet").write_text("another")
    with pytest.raises(StoreError, match=r"damaged: lake/sales/a\.parquet"):
        backup.restore(settings, tmp_path / "saved", overwrite=True)
    assert (tmp_path / "lake" / "sales" / "a.parquet").read_text() == "lake/sales/a.parquet"
    about = tmp_path / "saved" / "backup.json"
    about.write_text(json.dumps({"kind": "stack"}))
    with pytest.raises(StoreError, match="backup of containers"):
        backup.restore(settings, tmp_path / "saved")
    about.unlink()
    with pytest.raises(StoreError, match="is no backup"):
        backup.restore(settings, tmp_path / "saved")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("warehouse.url=postgresql://user@host/database", r"warehouse\.url has a server of its own"),
        ("mlflow.tracking_uri=http://host:5000", r"mlflow\.tracking_uri has a server of its own"),
        ("lake.path=s3://bucket/lake", "no folder of this machine"),
    ],
)
def test_a_store_with_a_server_is_for_that_server_to_save(shop: Path, tmp_path: Path, change: str, said: str):
    with pytest.raises(StoreError, match=said):
        backup.save(configuration.load(shop, [change]), tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
