"""The sections of a configuration. Every knob stands here once, with its unit; a key that is not here is refused."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of the configuration: frozen, and closed against unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class SqlSource(Section):
    """A database that SQLAlchemy can open."""

    kind: Literal["sql"]
    url: str = Field(description="SQLAlchemy URL; keep passwords in the environment, not in the file")
    timeout_seconds: float = Field(3600, gt=0, description="for reading one table; a database that hangs is given up")


class FileSource(Section):
    """A folder or bucket of CSV and Parquet files."""

    kind: Literal["files"]
    path: str = Field(description="folder: local, or any fsspec address such as s3://bucket/folder")
    options: dict[str, Any] = Field(default_factory=dict, description="fsspec options, e.g. endpoint_url")


class DateKey(Section):
    """Dates for a table that is keyed by a period code, such as Walmart's `wm_yr_wk`: the code's first date counts."""

    path: str | None = Field(None, description="file that holds both columns (files)")
    table: str | None = Field(None, description="table that holds both columns (sql)")
    key: str = Field(description="column with the code, of the same name in both tables")
    date: str = Field(description="column with the date")


class SourceTable(Section):
    """Where one kind of facts comes from, and which of its columns is which of ours."""

    source: str = Field(description="a name under [sources]")
    table: str | None = Field(None, description="table or view, optionally schema.table (sql)")
    path: str | None = Field(None, description="file or glob below the source's path (files)")
    columns: dict[str, str] = Field(default_factory=dict, description="our column name -> theirs")
    dates: DateKey | None = Field(None, description="how to find dates where the table has period codes instead")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.table is None) == (self.path is None):
            raise ValueError("name exactly one of `table` (in a database) and `path` (of a file)")
        return self


class SalesTable(SourceTable):
    """Sales: `item`, `ds`, `y`, and where there are several shops `store`; `price` and `line` (an id) where known."""

    grain: Literal["transactions", "periods"] = Field(
        "periods", description="transactions: any number of rows a day, summed; periods: one row a series and period"
    )
    label: Literal["auto", "start", "end", "parts"] = Field(
        "auto",
        description="grain periods, weeks or longer: the day that names a period, its first or its last; parts: rows "
        "are parts of a period and are summed; auto: as the rows show",
    )
    returns: Literal["net", "drop", "quarantine"] = Field(
        "net", description="negative quantities: subtracted from the day, left out, or quarantined"
    )
    exclude_items: str | None = Field(None, description="regular expression of codes that are no products")


class AttributeTable(SourceTable):
    """Facts of an item or a store that do not change: all columns but the key become attributes."""

    attributes: tuple[str, ...] = Field((), description="columns to keep; none = all")


class EventTable(SourceTable):
    """Named days: `ds`, `event`, and where they do not hold everywhere `store` or the attribute named in `by`."""

    by: str | None = Field(None, description="series attribute that events are keyed by, e.g. region; empty = all")


class HolidayTable(Section):
    """`[extract.holidays]`: public holidays by country, from the library `holidays`, beside `[extract.events]`."""

    country: str | None = Field(None, description="ISO 3166 code of all stores, e.g. DE or BR")
    subdivision: str | None = Field(None, description="its state or region, e.g. BY; not set: what holds everywhere")
    country_by: str | None = Field(None, description="column of [extract.stores] with each store's country code")
    subdivision_by: str | None = Field(None, description="column of [extract.stores] with its state or region code")
    language: str = Field("en_US", description="of the names, where the library has them; else the country's own")

    @model_validator(mode="after")
    def _some_country(self) -> Self:
        if (self.country is None) == (self.country_by is None):
            raise ValueError(
                "say country (a code for all stores) or country_by (a column of extract.stores): one of both"
            )
        if self.subdivision is not None and self.subdivision_by is not None:
            raise ValueError("say subdivision or subdivision_by, not both")
        return self


class SignalTable(SourceTable):
    """Any further signal by date: weather, web traffic, feedback scores, machine hours.

    Columns: `ds`, `value`, and optionally `item`, `store` or the attribute named in `by`.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="becomes the name of a feature")
    known: Literal["ahead", "afterwards", "static"] = Field(
        description="ahead: its future values are in the table; afterwards: only its past may be used; static: no date"
    )
    by: str | None = Field(None, description="series attribute that the signal is keyed by, e.g. state")
    wide: dict[str, str] = Field(default_factory=dict, description="value of `by` -> column, where it has one each")
    fill: Literal["zero", "last"] = Field("last", description="what holds on a date without a row")


class Extract(Section):
    """`[extract]`: what is read every night."""

    schedule: str = Field("0 3 * * *", description="cron, when the night starts")
    timezone: str = Field("UTC", description="IANA zone of `schedule` and of business days")
    catchup: Literal["newest", "in_order"] = Field(
        "newest", description="after nights that did not run: straight to the newest, or each of them in its order"
    )
    catchup_from: date | None = Field(None, description="first day that a night starts on, where catchup = in_order")
    correction_days: int = Field(14, ge=0, description="days before the last cutoff that are read again")
    sales: SalesTable
    items: AttributeTable | None = None
    stores: AttributeTable | None = None
    prices: SourceTable | None = Field(
        None, description="item, ds, price, optionally store and known_since: valid from ds on"
    )
    promotions: SourceTable | None = Field(
        None, description="item, optionally store and known_since, and ds (+ value) or start and end; value: 1"
    )
    events: EventTable | None = Field(
        None,
        description="ds, event, optionally store or the attribute in `by`, known_since: named days",
    )
    holidays: HolidayTable | None = Field(None, description="public holidays by country, beside `events`")
    stock: SourceTable | None = Field(None, description="item, ds, in_stock (or on_hand), optionally store")
    inventory: SourceTable | None = Field(
        None, description="item, ds, on_hand, optionally store, on_order and terms of an order; not set: as in `stock`"
    )
    signals: tuple[SignalTable, ...] = ()

    @model_validator(mode="after")
    def _from_some_day(self) -> Self:
        if self.catchup == "in_order" and self.catchup_from is None:
            raise ValueError('catchup = "in_order" needs catchup_from: the first day that a night is wanted for')
        return self


class Screen(Section):
    """`[screen]`: limits of the quality rules. Breach of a stopping rule ends the night: nothing is published."""

    max_quantity: float = Field(1e6, gt=0, description="units a row; more is out of range")
    max_price: float = Field(1e6, gt=0, description="money a unit; more is out of range")
    future_days: int | None = Field(1, ge=0, description="rows later than cutoff + this are quarantined; none: never")
    unknown_items: Literal["quarantine", "accept"] = Field("quarantine", description="items not listed in `items`")
    max_quarantined: Share = Field(0.2, description="share of rows; more stops the night")
    freshness_days: int = Field(1, ge=0, description="days from the newest sale to the cutoff; more stops the night")
    min_rows_ratio: Share = Field(0.3, description="rows of the newest day / mean of the same weekdays before")
    min_known_ratio: Share = Field(0.7, description="rows of days read before / rows they had then; 0 = not asked")
    silent_store: Literal["stop", "warn", "off"] = Field("warn", description="a store that usually sells, sold nothing")
    horizon_coverage: Literal["warn", "stop", "off"] = Field(
        "warn", description="far fewer promotions, prices, events or signal values ahead than usual"
    )
    gap_days: int = Field(3, ge=1, description="days without any sale anywhere; as many or more are reported")


class PanelSettings(Section):
    """`[panel]`: the matrix of series by periods that every model sees."""

    frequency: str = Field(
        "D", description="D, W-MON..W-SUN (the day that a week starts on; pandas names its last), M, Q or H"
    )
    horizon: Count = Field(28, description="periods ahead")
    universe: Literal["sales", "cross"] = Field("sales", description="series: pairs ever sold, or all items x stores")
    unique_id: str = Field("{item}_{store}", description="format of a series' name; `{item}` where there is no store")
    levels: tuple[str, ...] = Field((), description="attributes that the totals of interest are taken over")
    history: int | None = Field(None, ge=1, description="periods kept; not set = all")
    closed: Literal["auto", "never"] = Field(
        "auto", description="auto: a day on which it is improbable that nothing was sold is unobserved (days only)"
    )
    closed_periods: Count = Field(28, description="days that a closure may last; then the store or series has ended")
    missing_rows: Literal["auto", "zero", "unknown"] = Field(
        "auto", description="what a missing row means; auto: unknown if the source writes zeros or a gap is improbable"
    )
    missing_periods: int | None = Field(
        None,
        ge=1,
        description="periods of unknown missing rows after which a series ended; not set: D 28, W 8, M 3",
    )
    discontinued_after: int | None = Field(None, ge=1, description="periods without a sale after which a series ended")


class LightgbmSettings(Section):
    """`[train.lightgbm]`: of every LightGBM candidate."""

    rows: Count = Field(600_000, description="training rows of a booster at most (series x cutoff x horizon, sampled)")
    bags: int | None = Field(None, ge=1, description="boosters that are averaged; not set = 1, 3 where rows are few")
    trees: Count = Field(150, description="boosting rounds")
    leaves: int | None = Field(None, ge=2, description="leaves of a tree at most; not set = 63, 31 for few rows")
    learning_rate: float = Field(0.08, gt=0, le=1, description="share of each tree that counts")
    objective: Literal["tweedie", "poisson", "regression", "regression_l1"] = Field(
        "tweedie", description="loss that the trees lower; regression_l1: absolute errors, the median"
    )
    origins: Count = Field(104, description="past cutoffs that training rows are measured at; days: one a week")
    min_rows_leaf: Count | None = Field(None, description="training rows in a leaf at least; not set = by their number")
    seconds: float | None = Field(None, gt=0, description="time for one fit; further trees are given up, and said so")


class TuningSettings(Section):
    """`[train.tuning]`: LightGBM's settings sought by Optuna before the backtest, on cutoffs before its folds."""

    seconds: float = Field(0, ge=0, description="time for it; 0 = the settings are used as they stand")


class ArimaSettings(Section):
    """`[train.arima]`."""

    max_series: Count = Field(
        400, description="series fitted at most, four times as many by ETS and Theta; else the finest level that fits"
    )
    seconds: float = Field(60, gt=0, description="time for one fit of all series; the rest gets the first order")
    history: Count = Field(400, description="newest periods used")


class JudgeSettings(Section):
    """`[train.judge]`: what a challenger must show on periods that neither it nor the champion was trained on."""

    improvement: Share = Field(0.0, description="how much lower (share) its metric must be than the champion's")
    confidence: float = Field(0.7, gt=0.5, lt=1, description="that it is better at all, by a cautious block bootstrap")
    segment_worse: Share = Field(0.10, description="how much worse (share) a demand or volume class may get")
    bias: Share = Field(0.25, description="largest bias either way, unless the champion's is larger")
    coverage: tuple[Share, Share] = Field((0.80, 0.98), description="share of actuals from p05 to p95, from and to")
    cutoffs: Count = Field(4, description="cutoffs that both forecast from, at most")
    least: int | None = Field(
        None, ge=1, description="periods that neither has seen, at least; not set = a week of days, 4 weeks, 2 months"
    )
    shadow_days: Count = Field(28, description="days that a challenger which lost narrowly is watched")


class TrainSettings(Section):
    """`[train]`."""

    every_days: Count = Field(7, description="days from one training to the next, whether it was promoted or not")
    force: bool = Field(False, description="train now, whatever the champion's age")
    models: tuple[str, ...] = Field(
        ("seasonal_naive", "seasonal_mean", "lightgbm", "arima", "ets", "theta"),
        min_length=1,
        description="candidates by name; seasonal_naive is scored beside them anyway",
    )
    blend: bool = Field(True, description="let a weighted blend of the candidates compete")
    folds: Count | None = Field(
        None,
        description="cutoffs of the backtest; 1 or 2 only for one model and blend = false; not set = 3, small: up to 6",
    )
    step: int | None = Field(None, ge=1, description="periods between folds; not set = horizon, less if short")
    metric: Literal["wrmsse", "rmsse", "mase", "wape"] = Field("wrmsse", description="what the champion is chosen by")
    judge: JudgeSettings = JudgeSettings()
    approval: Literal["auto", "person"] = Field("auto", description="who promotes a challenger that has won")
    approvers: tuple[str, ...] = Field((), description="Airflow users who may answer; none = all who may run DAGs")
    approval_hours: float = Field(48, gt=0, description="time to answer; then the champion stays")
    refit: Literal["auto", "always", "never"] = Field(
        "auto", description="fit anew at each fold; auto: only the cheap models where the panel is large"
    )
    partition_by: str | None = Field(None, min_length=1, description="attribute, or a|b, that splits global models")
    partition_rows: int = Field(10**9, ge=0, description="series x periods of the panel above which they are split")
    partition_series: Count = Field(100, description="series of a partition at least; smaller ones share a model")
    seed: int = Field(7, description="of every draw in a training: the same data gives the same model")
    lightgbm: LightgbmSettings = LightgbmSettings()
    tuning: TuningSettings = TuningSettings()
    arima: ArimaSettings = ArimaSettings()

    @field_validator("folds")
    @classmethod
    def _folds_enough(cls, folds: int | None, info: ValidationInfo) -> int | None:
        """A choice made on one window is chance; without one, a fold is only there to calibrate the quantiles on."""
        if folds is not None and folds < 3 and (info.data.get("blend", True) or len(info.data.get("models", ())) != 1):
            raise ValueError("with something to choose from (several models, or blend = true) it takes at least 3")
        return folds


class ForecastSettings(Section):
    """`[forecast]`."""

    shard_series: Count = Field(50_000, description="series a shard; a panel up to this size is one shard")
    series: tuple[str, ...] = Field((), description="only these series, by name or glob; none = all")


class MonitorSettings(Section):
    """`[monitor]`."""

    vintages: Count = Field(28, description="newest past vintages scored every night")
    exceptions: Count = Field(20, description="series of a night that are listed for people, and explained")


class EmailSettings(Section):
    """`[alerts.email]`."""

    host: str = Field(description="SMTP server")
    port: Count = Field(25, description="its port; 587 with starttls")
    sender: str = Field(description="address that alerts come from")
    to: tuple[str, ...] = Field(min_length=1, description="addresses that they go to")
    starttls: bool = Field(False, description="encrypt; the server's certificate is checked")
    user: str | None = Field(None, description="login, where the server wants one")
    password: SecretStr | None = Field(None, description="in the environment: FORECASTING__ALERTS__EMAIL__PASSWORD")


class WebhookSettings(Section):
    """`[alerts.webhooks.NAME]`."""

    url: SecretStr = Field(description="best in the environment: FORECASTING__ALERTS__WEBHOOKS__NAME__URL")
    format: Literal["slack", "teams", "json"] = Field("json", description="what the receiver reads")


class AlertSettings(Section):
    """`[alerts]`: who hears of what needs a person. Every alert is in the table `alerts` and in the log."""

    minimum: Literal["info", "warning", "critical"] = Field("warning", description="what e-mail and webhooks tell of")
    email: EmailSettings | None = None
    webhooks: dict[str, WebhookSettings] = Field(default_factory=dict)
    worse: float = Field(0.2, gt=0, description="wape over that of the vintages before, less 1, that is too much worse")
    seconds: float = Field(20, gt=0, description="time for one e-mail or call; then it is tried again next night")


class Target(Section):
    """How well demand is to be served: a service level, or what a unit too much and a unit too few cost."""

    service_level: float | None = Field(None, gt=0, le=0.995, description="share of order cycles without a stock-out")
    holding: float | None = Field(None, gt=0, description="money a unit left over and period")
    shortage: float | None = Field(None, gt=0, description="money a unit that was wanted and not there")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.holding is None) != (self.shortage is None):
            raise ValueError("holding and shortage belong together: their ratio is the target")
        if self.holding is not None and self.service_level is not None:
            raise ValueError("say service_level, or holding and shortage, not both")
        return self


class PlanningSettings(Target):
    """`[planning]`: what to order. An item's own terms, where they are known, go before these. Not set: no orders."""

    lead_time: int = Field(ge=0, description="periods from an order, given at the cutoff, to its arrival")
    review: Count = Field(1, description="periods from one order to the next")
    pack_size: float = Field(1, gt=0, description="units; an order is a multiple of it")
    minimum_order: float = Field(0, ge=0, description="units; an order is at least this")
    cover: int = Field(0, ge=0, description="periods of expected demand on top: fewer, larger orders")
    unmet: Literal["waits", "lost"] = Field(
        "waits", description="demand without stock; orders do not make up for what is `lost`"
    )
    rounding: Literal["up", "nearest"] = Field("up", description="of orders to whole packs")
    classes: dict[str, Target] = Field(default_factory=dict, description="targets of A, B, C, X, Y, Z, or both as AX")
    attributes: dict[str, str] = Field(
        default_factory=dict, description="lead_time, review, service_level, pack_size, minimum_order -> item attribute"
    )
    stock_days: int = Field(3, ge=0, description="days that stock on hand may be old; older is not known")

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for name in self.classes:
            if not re.fullmatch("[ABC]?[XYZ]?", name) or not name:
                raise ValueError(f"classes.{name}: write A, B, C, X, Y, Z or two of them, as in AX")
        for name in self.attributes:
            if name not in ("lead_time", "review", "service_level", "pack_size", "minimum_order"):
                raise ValueError(f"attributes.{name}: only lead_time, review, service_level, pack_size, minimum_order")
        return self


class ExportSettings(Section):
    """`[export]`: tables of the night as files, for systems that read no database. Not set: none are written."""

    path: str = Field(description="folder, or any fsspec address such as s3://bucket/folder; a folder a cutoff in it")
    format: Literal["csv", "parquet"] = Field("parquet", description="of the files")
    tables: tuple[str, ...] = Field(
        ("forecasts_latest", "replenishment_latest"), min_length=1, description="tables and views: rows of the cutoff"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="fsspec options, e.g. endpoint_url")


class ReportSettings(Section):
    """`[report]`: what the night has brought, as one HTML file; also kept in MLflow, and sent by e-mail."""

    enabled: bool = Field(True, description="write it after every night")
    language: Literal["en", "pt"] = Field("en", description="of the report and of its e-mail")
    path: str = Field(
        "var/report", description="folder, or any fsspec address such as s3://bucket/folder; empty: no file"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="fsspec options, e.g. endpoint_url")
    to: tuple[str, ...] | None = Field(
        None, description="addresses that [alerts.email] sends it to; not set: those of the alerts; []: nobody"
    )


class HealthSettings(Section):
    """`[health]`: what the process promises, and limits of its warning signs; a sign above its limit is breached."""

    publish_by: str = Field(
        "06:00",
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$",
        description="time in extract.timezone by which a night's forecasts are promised; empty: none is",
    )
    days: Count = Field(28, description="days that nights, decisions and rework are counted over")
    lead_hours: float = Field(3, gt=0, description="hours from a night's start to its forecasts, as promised")
    nights_missed: int = Field(0, ge=0, description="nights without a vintage")
    nights_late: int = Field(1, ge=0, description="nights published after `publish_by`")
    champion_days: Count = Field(90, description="days that the champion is old")
    decision_hours: float = Field(48, gt=0, description="hours from a trained challenger to the decision on it")
    rework: int = Field(3, ge=0, description="nights done again or made up later, and rollbacks")
    retries: int = Field(5, ge=0, description="steps started again within their run, in a week")
    quarantined_share: Share = Field(0.02, description="share of the rows read")
    fallback_share: Share = Field(0.05, description="share of the series")
    waiting: int = Field(0, ge=0, description="hand-offs that wait for a person")
    failed_steps: int = Field(0, ge=0, description="steps that ended in an error, in a week")
    failed_runs: int = Field(0, ge=0, description="DAG runs that failed, in a week")


class DriftSettings(Section):
    """`[drift]`."""

    enabled: bool = Field(True, description="look every night whether the world has moved")
    window: Count | None = Field(
        None, description="newest periods that are judged; not set = 7 days, 4 weeks, 3 months"
    )
    false_alarms: float = Field(
        0.2, gt=0, description="nights in 60 that may be marked by chance; less = fewer alarms, later detection"
    )
    vintages: int = Field(60, ge=20, description="newest vintages whose residuals are watched")
    train: bool = Field(True, description="new drift makes a training due")
    train_days: Count = Field(3, description="days since the newest training, before drift makes another one due")


class RetentionSettings(Section):
    """`[retention]`: days, back from the newest vintage. What a kept vintage was made from stays, however old."""

    vintages: Count | None = Field(None, description="that a published vintage stays; not set = for ever")
    records: Count = Field(730, description="that runs, quality, backtests, scores, drift ... stay without a vintage")
    models: Count = Field(365, description="that a version stays which no kept vintage comes from")
    snapshots: Count = Field(365, description="that a snapshot of the data stays which nothing kept comes from")
    panels: Count = Field(14, description="that a panel stays after it was written; it can be built again")


class LakeSettings(Section):
    """`[lake]`."""

    path: str = Field("var/lake", description="folder or s3:// address of the versioned tables")
    options: dict[str, str] = Field(default_factory=dict, description="storage options of an object store")


class WarehouseSettings(Section):
    """`[warehouse]`."""

    url: str = Field("sqlite:///var/warehouse.db", description="SQLAlchemy URL of the output tables")
    namespace: str | None = Field(None, alias="schema", description="schema of the tables (PostgreSQL)")


class MlflowSettings(Section):
    """`[mlflow]`."""

    tracking_uri: str = Field("sqlite:///var/mlflow.db", description="any URI that MLflow understands")
    artifacts: str | None = Field("var/mlartifacts", description="artifact folder of a new experiment (embedded store)")
    experiment: str = Field("demand", description="name of the experiment that trainings are logged in")
    model: str = Field("demand", description="name of the registered model")


class RuntimeSettings(Section):
    """`[runtime]`."""

    threads: int = Field(0, ge=0, description="threads of a training; 0 = all cores")
    partition_workers: Count = Field(1, description="partitions' models trained side by side; memory grows with it")


class DemoSettings(Section):
    """`[demo]`: the made-up retailer."""

    seed: int = Field(11, description="another seed, another shop")
    stores: Count = Field(10, description="shops")
    items: Count = Field(60, description="products, not all sold everywhere and always")
    days: int = Field(730, ge=120, description="days of history before the first night")
    first_cutoff: str = Field("2026-06-30", description="day before the first night", pattern=r"^\d{4}-\d{2}-\d{2}$")
