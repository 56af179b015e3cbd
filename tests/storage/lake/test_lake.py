"""The lake: what a snapshot holds, when a new one comes, and files of which nobody sees half."""

import mmap
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecasting.core.config.sections import LakeSettings
from forecasting.core.errors import CutoffError, StoreError
from forecasting.panel import totals
from forecasting.panel.covariates.events import Events
from forecasting.panel.panel import Panel
from forecasting.storage.lake import arrow_frames
from forecasting.storage.lake.folder import Folder
from forecasting.storage.lake.lake import Lake
from tests.panel.test_totals import same as same_numbers
from tests.support.panels import panel_of, seasonal_panel

MONDAY = date(2026, 3, 30)  # the window of the week after it lies in two months
RUN = "scheduled__2026-03-30T02:00:00+00:00/é"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(LakeSettings(path=str(tmp_path / "lake")))


def sales(*rows: tuple[str, str, date, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["item", "store", "ds", "y"])
    return frame.assign(ds=pd.to_datetime(frame["ds"]).astype("datetime64[s]"), y=frame["y"].astype("float64"))


def day(number: int) -> date:
    return MONDAY + timedelta(days=number)


def rows(frame: pd.DataFrame) -> list[tuple[str, str, date, float]]:
    found = frame[["item", "store", "ds", "y"]].astype({"item": "str", "store": "str"})
    return sorted((item, store, ds.date(), y) for item, store, ds, y in found.itertuples(index=False))


FIRST = sales(("A", "S1", day(0), 1), ("A", "S1", day(1), 2), ("B", "", day(1), 3))
ITEMS = pd.DataFrame({"item": ["A", "B"], "colour": ["red", None], "size": [1.5, np.nan], "new": [True, False]})
PRICES = pd.DataFrame({"item": pd.Categorical(["A", "B"]), "ds": pd.to_datetime([day(0)] * 2), "price": [1.0, 2.0]})


def test_a_snapshot_holds_what_was_committed(lake: Lake):
    assert lake.newest_cutoff() is None
    snapshot = lake.commit(day(1), FIRST, None, {"items": ITEMS, "prices": PRICES})
    assert (snapshot.id, snapshot.cutoff, snapshot.rows) == ("sales@0", day(1), 3)
    assert snapshot.versions == {"items": 0, "prices": 0}
    assert lake.newest_cutoff() == day(1)
    assert lake.snapshot(day(1)) == snapshot

    found = lake.read(snapshot.id, "sales")
    assert rows(found) == rows(FIRST)
    assert {name: str(kind) for name, kind in found.dtypes.items()} == {
        "item": "category",
        "store": "category",
        "ds": "datetime64[s]",
        "y": "float32",
    }
    pd.testing.assert_frame_equal(lake.read(snapshot.id, "items"), ITEMS)
    prices = lake.read(snapshot.id, "prices")
    pd.testing.assert_frame_equal(prices, PRICES.astype({"ds": "datetime64[s]"}))
    assert list(lake.read(snapshot.id, "prices", columns=["price"])) == ["price"]
    assert lake.read(snapshot.id, "events").empty


def test_a_window_is_replaced_and_what_lies_outside_stays(lake: Lake):
    lake.commit(day(1), FIRST, None, {})
    late = sales(("A", "S1", day(1), 20), ("A", "S1", day(3), 4))  # B of day 1 was struck out at the source
    second = lake.commit(day(3), late, day(1), {})
    assert rows(lake.read(second.id, "sales")) == rows(pd.concat([FIRST.iloc[:1], late]))
    assert rows(lake.read("sales@0", "sales")) == rows(FIRST)


def test_an_earlier_cutoff_keeps_later_sales(lake: Lake):
    later = sales(("A", "S1", day(0), 1), ("A", "S1", day(5), 6))
    lake.commit(day(5), later, None, {})
    snapshot = lake.commit(day(1), FIRST, None, {})
    assert rows(lake.read(snapshot.id, "sales")) == rows(pd.concat([FIRST, later.iloc[1:]]))
    assert lake.newest_cutoff() == day(5)


def test_a_first_night_without_sales(lake: Lake):
    first = lake.commit(day(0), FIRST.iloc[:0].astype({"item": "category"}), None, {})
    assert lake.read(first.id, "sales").empty
    second = lake.commit(day(1), FIRST, None, {})
    assert rows(lake.read(second.id, "sales")) == rows(FIRST)


def test_a_window_without_sales_is_emptied(lake: Lake):
    lake.commit(day(1), FIRST, None, {})
    snapshot = lake.commit(day(1), FIRST.iloc[:0], day(1), {})
    assert snapshot.rows == 0
    assert rows(lake.read(snapshot.id, "sales")) == rows(FIRST.iloc[:1])


def test_the_same_content_again_is_the_same_snapshot(lake: Lake):
    tables = {"items": ITEMS, "prices": PRICES}
    first = lake.commit(day(1), FIRST, None, tables)
    shuffled = FIRST.iloc[::-1].astype({"item": "category", "store": "category"})
    assert lake.commit(day(1), shuffled, None, tables) == first
    # The second run of a night reads the last days only; what it finds is what is there.
    assert lake.commit(day(1), FIRST.iloc[1:], day(1), tables) == first
    second = lake.commit(day(2), sales(("A", "S1", day(2), 9)), day(2), tables)
    assert lake.commit(day(1), FIRST, None, tables) == first
    assert lake.snapshot(day(2)) == second
    assert second.versions == first.versions


@pytest.mark.parametrize(
    "change",
    [
        {"sales": FIRST.assign(y=[1, 2, 4])},
        {"sales": FIRST.assign(item=["A", "A", "C"])},
        {"sales": pd.concat([FIRST, FIRST.iloc[:1]])},
        {"tables": {"items": ITEMS.assign(size=[1.5, 2.0])}},
        {"tables": {"items": ITEMS.rename(columns={"size": "width"})}},
        {"tables": {}},
    ],
)
def test_other_content_is_another_snapshot(lake: Lake, change: dict):
    given_first = {"sales": FIRST, "tables": {"items": ITEMS}}
    first = lake.commit(day(1), given_first["sales"], None, given_first["tables"])
    changed = given_first | change
    second = lake.commit(day(1), changed["sales"], None, changed["tables"])
    assert second.id == "sales@1"
    assert second.digest != first.digest
    assert lake.snapshot(day(1)) == second
    for name, frame in changed["tables"].items():
        pd.testing.assert_frame_equal(lake.read(second.id, name), frame)
    pd.testing.assert_frame_equal(lake.read(first.id, "items"), ITEMS)


def test_two_lakes_with_the_same_nights_have_the_same_digests(tmp_path: Path):
    digests = []
    for name in ("one", "two"):
        lake = Lake(LakeSettings(path=str(tmp_path / name)))
        lake.commit(day(1), FIRST, None, {"items": ITEMS})
        digests.append(lake.commit(day(2), sales(("A", "S1", day(2), 9)), day(2), {"items": ITEMS}).digest)
    assert digests[0] == digests[1]


def test_tables_that_are_empty_or_new_or_gone(lake: Lake):
    nothing = pd.DataFrame({"item": pd.Series(dtype="str"), "ds": pd.Series(dtype="datetime64[s]")})
    static = pd.DataFrame({"ds": pd.Series([pd.NaT], dtype="datetime64[s]"), "value": [1.0]})
    first = lake.commit(day(1), FIRST, None, {"events": nothing, "stock": pd.DataFrame(), "signals": static})
    assert lake.read(first.id, "events").empty
    assert list(lake.read(first.id, "events")) == ["item", "ds"]
    assert lake.read(first.id, "stock").empty
    pd.testing.assert_frame_equal(lake.read(first.id, "signals"), static)
    second = lake.commit(day(1), FIRST, None, {"prices": PRICES})
    assert lake.read(second.id, "signals").empty
    assert len(lake.read(second.id, "prices")) == 2


def test_a_table_that_comes_back_to_what_it_was_is_not_written_again(lake: Lake):
    for number, item in enumerate(["A", "C", "A"]):
        items = ITEMS.assign(item=item)
        snapshot = lake.commit(day(number), sales((item, "", day(number), 1)), day(number), {"items": items})
    assert snapshot.versions == {"items": 0}
    assert lake.read(snapshot.id, "items")["item"].tolist() == ["A", "A"]


def test_which_snapshot_a_cutoff_has(lake: Lake):
    with pytest.raises(CutoffError, match=r"no snapshot for the cutoff 2026-03-31 .* none at all.* extract --cutoff"):
        lake.snapshot(day(1))
    for number in (5, 1):
        lake.commit(day(number), sales(("A", "", day(number), number)), day(number), {})
    assert lake.snapshot(day(5)).id == "sales@0"
    assert lake.snapshot(day(1)).id == "sales@1"
    assert lake.snapshot(day(0)).id == "sales@1"
    assert lake.snapshot(day(3)).id == "sales@0"
    with pytest.raises(CutoffError, match=r"2026-04-05 or a later one; it holds 2026-04-04, 2026-03-31"):
        lake.snapshot(day(6))


def test_what_cannot_be_committed_leaves_the_lake_as_it_was(lake: Lake):
    first = lake.commit(day(1), FIRST, None, {})
    late, undated = FIRST.assign(ds=pd.Timestamp(day(2))), FIRST.assign(ds=pd.NaT)
    for frame, since in [(FIRST, day(1)), (late, None), (undated, None)]:
        with pytest.raises(StoreError, match=r"cannot be committed with other days: (2026-0|rows without)"):
            lake.commit(day(1), frame, since, {})
    with pytest.raises(StoreError, match=r"Table 'items' cannot be stored .* one type"):
        lake.commit(day(1), FIRST, None, {"items": pd.DataFrame({"item": ["A", 1]})})
    assert lake.snapshot(day(1)) == first
    assert rows(lake.read(first.id, "sales")) == rows(FIRST)


def test_a_night_that_dies_before_its_last_commit_is_not_there(lake: Lake, tmp_path: Path):
    first = lake.commit(day(1), FIRST, None, {"items": ITEMS})
    log = tmp_path / "lake" / "sales" / "_delta_log"
    (log / "00000000000000000001.json").mkdir()  # the place of the next commit cannot be written
    with pytest.raises(StoreError, match=r"Table 'sales' .* cannot be written"):
        lake.commit(day(1), FIRST.assign(y=9.0), None, {"items": ITEMS.assign(size=9.0)})
    (log / "00000000000000000001.json").rmdir()
    assert lake.snapshot(day(1)) == first
    pd.testing.assert_frame_equal(lake.read(first.id, "items"), ITEMS)
    assert lake.commit(day(1), FIRST.assign(y=9.0), None, {"items": ITEMS}).versions == {"items": 0}


def test_reading_what_is_not_there(lake: Lake):
    lake.commit(day(1), FIRST, None, {})
    for name in ("sales@7", "prices@0", ""):
        with pytest.raises(StoreError, match=r"no snapshot '.*'\. Newest first: sales@0"):
            lake.read(name, "sales")
    with pytest.raises(StoreError, match=r"'sales' of the lake has no column z; it has item, store, ds, y"):
        lake.read("sales@0", "sales", columns=["y", "z"])


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    lake = Lake(LakeSettings(path=str(tmp_path / "file" / "lake")))
    with pytest.raises(StoreError, match=r"file/lake"):
        lake.write_staged(MONDAY, "run", 0, FIRST)
    with pytest.raises(StoreError, match=r"lake"):
        lake.commit(day(1), FIRST, None, {})
    with pytest.raises(StoreError, match=r"lake\.path = 'tape://x' is no folder and no s3:// address"):
        Lake(LakeSettings(path="tape://x"))


def test_delta_is_told_to_forget_nothing(lake: Lake, tmp_path: Path):
    lake.commit(day(1), FIRST, None, {"items": ITEMS})
    for name in ("sales", "items"):
        stated = DeltaTable(tmp_path / "lake" / name).metadata().configuration
        assert stated["delta.enableExpiredLogCleanup"] == "false"
        assert stated["delta.logRetentionDuration"] == "interval 36500 days"


WINDOWS = st.lists(
    st.tuples(
        st.integers(0, 70),
        st.one_of(st.none(), st.integers(0, 40)),
        st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 70), st.integers(0, 9)), max_size=6),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nights=WINDOWS)
def test_any_nights_leave_what_a_plain_replacement_would(tmp_path_factory: pytest.TempPathFactory, nights: list):
    lake = Lake(LakeSettings(path=str(tmp_path_factory.mktemp("lake"))))
    held: dict[tuple[str, date], float] = {}
    for cutoff, length, drawn in nights:
        since = None if length is None else day(cutoff - length)
        inside = {
            (item, day(number)): float(y)
            for item, number, y in drawn
            if number <= cutoff and (since is None or day(number) >= since)
        }
        frame = sales(*((item, "", ds, y) for (item, ds), y in inside.items()))
        kept = {key: y for key, y in held.items() if key[1] > day(cutoff) or (since is not None and key[1] < since)}
        known = {one.id for one in lake.snapshots()}
        snapshot = lake.commit(day(cutoff), frame, since, {})
        if snapshot.id not in known:
            held = kept | inside
        found = {(item, ds): y for item, _, ds, y in rows(lake.read(snapshot.id, "sales"))}
        within = {key: y for key, y in found.items() if key[1] <= day(cutoff) and (since is None or key[1] >= since)}
        assert within == inside
        if snapshot.id not in known:
            assert found == held


def test_a_digest_knows_neither_order_nor_kind_of_text():
    assert arrow_frames.digest(FIRST) == arrow_frames.digest(
        FIRST.sample(frac=1, random_state=1).astype({"item": "category"})
    )
    assert arrow_frames.digest(FIRST) != arrow_frames.digest(pd.concat([FIRST, FIRST]))


# ---------------------------------------------------------------- panels


def same(one: Panel, other: Panel) -> None:
    np.testing.assert_array_equal(one.y, other.y)
    assert one.periods.equals(other.periods)
    pd.testing.assert_frame_equal(one.series, other.series)
    assert (one.frequency, one.snapshot, one.levels) == (other.frequency, other.snapshot, other.levels)
    for left, right in ((one.known, other.known), (one.past, other.past)):
        assert list(left) == list(right)
        for name in left:
            np.testing.assert_array_equal(left[name], right[name])
    assert (one.events is None) == (other.events is None)
    if one.events is not None and other.events is not None:
        assert (one.events.names, one.events.ahead) == (other.events.names, other.events.ahead)
        np.testing.assert_array_equal(one.events.cells, other.events.cells)
        np.testing.assert_array_equal(one.events.since, other.events.since)


@pytest.mark.parametrize("frequency", ["D", "W-WED", "M"])
def test_a_panel_comes_back_whole(lake: Lake, frequency: str):
    panel = panel_of(
        [[1, np.nan, 3], [0, 2, 4]],
        frequency=frequency,
        past={"a/b: c.d": np.ones((1, 3), np.float32)},
        known={"price": np.arange(8, dtype=np.float32).reshape(2, 4).T[:2]},
    )
    cells = np.array([[0, 0, 1], [0, 1, 3]], np.int32)
    events = Events(("Fair", "Feast"), cells, np.zeros(2, np.int32), 4, since=np.array([0, 2], np.int32))
    panel = replace(panel, events=events)
    place = lake.write_panel(panel)
    assert place.endswith(f"panels/cutoff={panel.cutoff}")
    same(lake.read_panel(panel.cutoff), panel)
    same(lake.read_panel(panel.cutoff, panel.snapshot), panel)


def is_mapped(array: object) -> bool:
    """Whether its numbers lie in a file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def test_a_panel_is_mapped_and_outlives_its_replacement(lake: Lake, tmp_path: Path):
    panel = seasonal_panel()
    place = Path(lake.write_panel(panel))
    mapped = lake.read_panel(panel.cutoff)
    assert is_mapped(mapped.y)
    before = sorted((path, path.stat().st_mtime_ns) for path in place.rglob("*"))
    lake.write_panel(panel)
    assert sorted((path, path.stat().st_mtime_ns) for path in place.rglob("*")) == before
    other = panel_of([[7.0] * 140], snapshot="sales@1")
    assert other.cutoff == panel.cutoff
    lake.write_panel(other)
    same(lake.read_panel(panel.cutoff), other)
    same(mapped, panel)
    assert len(list(place.iterdir())) == 2


def test_a_panel_comes_back_with_its_totals_mapped(lake: Lake):
    panel = seasonal_panel()
    panel = replace(panel, totals=totals.compute(panel))
    lake.write_panel(panel)
    found = lake.read_panel(panel.cutoff)
    same(found, panel)
    same_numbers(found, panel)
    assert is_mapped(found.totals["store"].units)


def test_a_table_in_pieces_is_the_table(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("forecasting.storage.lake.lake.PIECE", 1)
    snapshot = lake.commit(day(1), FIRST, None, {"prices": FIRST.rename(columns={"y": "price"})})
    for name in ("sales", "prices"):
        pieces = list(lake.pieces(snapshot.id, name))
        assert {len(piece) for piece in pieces} == {1}
        whole = lake.read(snapshot.id, name)
        text = {"item": "str", "store": "str"}
        found = pd.concat(pieces, ignore_index=True).astype(text)
        pd.testing.assert_frame_equal(found, whole.astype(text))
    assert list(lake.pieces(snapshot.id, "stock")) == []


def test_scratch_room_goes_away(lake: Lake):
    with lake.scratch() as scratch:
        place = scratch.folder
        scratch.array((2, 2))
        assert len(list(place.iterdir())) == 1
    assert not place.exists()


def test_a_panel_half_written_is_not_there(lake: Lake):
    panel = seasonal_panel()
    place = Path(lake.write_panel(panel))
    (place / "panel.json").unlink()
    with pytest.raises(CutoffError, match="no panel of cutoff"):
        lake.read_panel(panel.cutoff)
    lake.write_panel(panel)
    same(lake.read_panel(panel.cutoff), panel)


@pytest.mark.parametrize("lost", ["y.npy", "series.parquet", "totals/labels.parquet"])
def test_a_panel_that_lost_a_file_is_told_of_and_written_again(lake: Lake, lost: str):
    panel = seasonal_panel()
    panel = replace(panel, totals=totals.compute(panel))
    place = Path(lake.write_panel(panel))
    next(place.glob(f"*/{lost}")).unlink()
    with pytest.raises(StoreError, match=r"not whole.*Run extract for this cutoff again"):
        lake.read_panel(panel.cutoff)
    lake.write_panel(panel)
    same(lake.read_panel(panel.cutoff), panel)


def test_panels_that_are_not_there(lake: Lake):
    with pytest.raises(CutoffError, match=r"no panel of cutoff 2026-03-30; it holds those of none at all"):
        lake.read_panel(MONDAY)
    panel = panel_of([[1.0]])
    lake.write_panel(panel)
    with pytest.raises(CutoffError, match=r"it holds those of 2026-01-05\. Run extract"):
        lake.read_panel(MONDAY)
    with pytest.raises(CutoffError, match=r"was built from sales@0, not from sales@9"):
        lake.read_panel(panel.cutoff, "sales@9")


# ---------------------------------------------------------------- staged


def shard(number: int, **changes: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "unique_id": pd.Categorical([f"A{number}", f"B{number}"]),
            "ds": pd.Series([pd.Timestamp(MONDAY)] * 2).astype("datetime64[s]"),
            "mean": [number, 0.5],
            "status": pd.Categorical(["ok", "fallback"] if number % 2 else ["ok", "ok"]),
            "reason": [None, None],
        }
    )
    return frame.assign(**changes)


def test_shards_come_back_in_their_order(lake: Lake):
    for number in (10, 2, 1, 0):
        lake.write_staged(MONDAY, RUN, number, shard(number, reason=[None, "new"] if number == 2 else [None, None]))
    lake.write_staged(MONDAY, RUN, 1, shard(1, status=["ok", "insufficient"]))  # a second try; plain text this time
    lake.write_staged(MONDAY, "another", 0, shard(5))
    found = lake.read_staged(MONDAY, RUN)
    assert found["unique_id"].tolist() == ["A0", "B0", "A1", "B1", "A2", "B2", "A10", "B10"]
    assert found["status"].tolist() == ["ok", "ok", "ok", "insufficient", "ok", "ok", "ok", "ok"]
    assert found["reason"].notna().tolist() == [False] * 5 + [True] + [False] * 2
    assert found["ds"].dtype == "datetime64[s]"
    assert isinstance(found["unique_id"].dtype, pd.CategoricalDtype)


def test_cleared_shards_are_gone_and_only_those(lake: Lake):
    lake.write_staged(MONDAY, RUN, 0, shard(0))
    lake.write_staged(MONDAY, "another", 0, shard(5))
    lake.clear_staged(MONDAY, RUN)
    lake.clear_staged(MONDAY, RUN)
    with pytest.raises(StoreError, match=r"Nothing is staged .* runs: another\."):
        lake.read_staged(MONDAY, RUN)
    assert lake.read_staged(MONDAY, "another")["unique_id"].tolist() == ["A5", "B5"]


def test_a_damaged_shard_is_named(lake: Lake, tmp_path: Path):
    lake.write_staged(MONDAY, "run", 0, shard(0))
    file = next((tmp_path / "lake" / "staged").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StoreError, match=r"staged/cutoff=2026-03-30/run=run is damaged"):
        lake.read_staged(MONDAY, "run")


# ---------------------------------------------------------------- S3


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """An S3 server with a bucket `lake`: options. A process of its own, since Delta waits with Python's lock held."""
    import boto3
    from botocore.config import Config

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    options = {"endpoint_url": f"http://127.0.0.1:{port}", "key": "t", "secret": "t", "region_name": "us-east-1"}
    try:
        boto3.client(
            "s3",
            endpoint_url=options["endpoint_url"],
            region_name=options["region_name"],
            aws_access_key_id="t",
            aws_secret_access_key="t",
            config=Config(retries={"max_attempts": 12, "mode": "standard"}),
        ).create_bucket(Bucket="lake")
        yield options
    finally:
        server.terminate()
        server.wait(timeout=20)


def test_a_bucket_is_a_lake(bucket: dict[str, str]):
    lake = Lake(LakeSettings(path="s3://lake/shop", options=bucket))
    assert lake.newest_cutoff() is None
    first = lake.commit(day(1), FIRST, None, {"items": ITEMS})
    assert lake.commit(day(1), FIRST, None, {"items": ITEMS}) == first
    second = lake.commit(day(2), sales(("A", "S1", day(2), 9)), day(2), {"items": ITEMS})
    assert rows(lake.read(second.id, "sales")) == rows(pd.concat([FIRST, sales(("A", "S1", day(2), 9))]))
    panel = seasonal_panel()
    lake.write_panel(panel)
    same(lake.read_panel(panel.cutoff), panel)
    lake.write_panel(panel_of([[7.0] * 140]))
    assert lake.read_panel(panel.cutoff).y.shape == (1, 140)
    lake.write_staged(MONDAY, RUN, 0, shard(0))
    assert lake.read_staged(MONDAY, RUN)["unique_id"].tolist() == ["A0", "B0"]
    lake.clear_staged(MONDAY, RUN)
    with pytest.raises(StoreError, match="Nothing is staged"):
        lake.read_staged(MONDAY, RUN)


def test_an_emptied_folder_that_the_store_still_lists_is_empty(bucket: dict[str, str]):
    lake = Lake(LakeSettings(path="s3://lake/emptied", options=bucket))
    lake.write_staged(MONDAY, RUN, 0, shard(0))
    folder = Folder.of(LakeSettings(path="s3://lake/emptied", options=bucket))
    (cutoff,) = folder.names("staged")
    (run,) = folder.names("staged", cutoff)
    folder.remove("staged", cutoff, run)
    folder.files.pipe_file(f"lake/emptied/staged/{cutoff}/{run}/", b"")  # what SeaweedFS leaves of it
    assert folder.names("staged", cutoff, run) == []
    assert lake.remove_made(datetime.now(UTC) + timedelta(days=1)) == []


def test_what_has_ended_and_the_calendar_of_closed_days_come_back(lake: Lake):
    ended = np.array([[1, 0, 1, 3]])
    calendar = np.array([[0, 0, 1, 0]], dtype=np.uint8)
    panel = panel_of([[1, 2, 3], [5, np.nan, np.nan]], ended=ended, known={"closed": calendar})
    lake.write_panel(panel)
    found = lake.read_panel(panel.cutoff)
    same(found, panel)
    np.testing.assert_array_equal(found.ended, ended)
    assert found.ended_now().tolist() == [-1, 0]
    assert found.known["closed"].dtype == np.uint8
