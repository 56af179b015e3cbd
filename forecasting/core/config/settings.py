"""One deployment's configuration: conf/*.toml, then the environment, then `--set`, into one frozen Settings.

`FORECASTING__WAREHOUSE__URL=...` in the environment sets `warehouse.url`; `--set warehouse.url=...` wins over both.
Every knob stands in `sections.py`, with its unit; a key that is not there is refused by name.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from forecasting.core.config.sections import (
    AlertSettings,
    DemoSettings,
    DriftSettings,
    ExportSettings,
    Extract,
    FileSource,
    ForecastSettings,
    HealthSettings,
    LakeSettings,
    MlflowSettings,
    MonitorSettings,
    PanelSettings,
    PlanningSettings,
    ReportSettings,
    RetentionSettings,
    RuntimeSettings,
    Screen,
    Section,
    SourceTable,
    SqlSource,
    TrainSettings,
    WarehouseSettings,
)
from forecasting.core.errors import SettingsError, some

ENVIRONMENT_PREFIX = "FORECASTING__"


class Settings(Section):
    """The whole configuration of one deployment."""

    name: str = Field("demand", description="names the assets and DAGs", pattern=r"^[a-z][a-z0-9_]*$")
    sources: dict[str, Annotated[SqlSource | FileSource, Field(discriminator="kind")]]
    extract: Extract
    screen: Screen = Screen()
    panel: PanelSettings = PanelSettings()
    train: TrainSettings = TrainSettings()
    forecast: ForecastSettings = ForecastSettings()
    monitor: MonitorSettings = MonitorSettings()
    planning: PlanningSettings | None = None
    export: ExportSettings | None = None
    report: ReportSettings = ReportSettings()
    health: HealthSettings = HealthSettings()
    alerts: AlertSettings = AlertSettings()
    drift: DriftSettings = DriftSettings()
    retention: RetentionSettings = RetentionSettings()
    lake: LakeSettings = LakeSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    mlflow: MlflowSettings = MlflowSettings()
    runtime: RuntimeSettings = RuntimeSettings()
    demo: DemoSettings | None = None

    @field_validator("panel")
    @classmethod
    def _frequency_known(cls, panel: PanelSettings) -> PanelSettings:
        from forecasting.core.frequency import Frequency

        day = Frequency.parse(panel.frequency).a_day
        if panel.horizon % day:
            raise ValueError(
                f'panel.horizon = {panel.horizon}: of hours (panel.frequency = "H") it is whole days: 24, 48, 168, ...'
            )
        return panel

    @model_validator(mode="after")
    def _hours_have_a_place(self) -> Self:
        if self.panel.frequency == "H" and not self.warehouse.url.startswith("sqlite"):
            raise ValueError(
                'panel.frequency = "H" needs a warehouse in SQLite so far, whose periods may have an hour; other '
                'databases keep days: warehouse.url = "sqlite:///...".'
            )
        return self

    @model_validator(mode="after")
    def _sources_known(self) -> Self:
        for name, table in self.source_tables().items():
            if table.source not in self.sources:
                raise ValueError(f"extract.{name}.source: no [sources.{table.source}]; there are: {some(self.sources)}")
        return self

    @model_validator(mode="after")
    def _report_can_be_sent(self) -> Self:
        if self.report.to and self.alerts.email is None:
            raise ValueError("report.to: no [alerts.email], whose server would send it; add it, or leave report.to out")
        return self

    def source_tables(self) -> dict[str, SourceTable]:
        """Every declared source table by its name: sales, items, ..., and signals by `signal_<name>`."""
        named = {
            name: table
            for name in ("sales", "items", "stores", "prices", "promotions", "events", "stock", "inventory")
            if (table := getattr(self.extract, name)) is not None
        }
        return named | {f"signal_{signal.name}": signal for signal in self.extract.signals}

    def digest(self) -> str:
        """Sha256 (16 hex digits) of everything that can change a forecast: places and schedules do not count."""
        places = {"lake", "warehouse", "mlflow", "runtime", "sources", "retention"}
        told = {"alerts", "health", "export", "report", "planning"}
        exclude: dict[str, Any] = dict.fromkeys((*places, *told), True) | {"extract": {"inventory"}}
        content = self.model_dump(mode="json", exclude=exclude)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def read(file: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """A TOML file with the changes of the environment, not validated. Raises SettingsError naming the file."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"There is no configuration file {file}. Start from conf/demo.toml.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not valid TOML: {error}") from None
    for name in sorted(environ):
        if name.startswith(ENVIRONMENT_PREFIX):
            _put(content, name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"), environ[name])
    return content


def load(path: str | Path, changes: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Settings:
    """Read a TOML file, apply environment and `section.key=value` changes, validate.

    Raises SettingsError naming file, key, what was found and what is allowed.
    """
    file = Path(path)
    content = read(file, os.environ if environ is None else environ)
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator:
            raise SettingsError(f"--set {change}: write it as section.key=value")
        _put(content, key.strip().split("."), value.strip())
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise SettingsError(_explain(file, error)) from None


def _put(content: dict[str, Any], keys: Sequence[str], text: str) -> None:
    for key in keys[:-1]:
        content = content.setdefault(key, {})
        if not isinstance(content, dict):
            raise SettingsError(f"--set {'.'.join(keys)}: {key} is a value, not a section")
    content[keys[-1]] = _value(text)


def _value(text: str) -> Any:
    """A TOML value where the text is one (7, true, ["a"]), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(file: Path, error: ValidationError) -> str:
    problems = []
    for detail in error.errors():
        key = ".".join(str(part) for part in detail["loc"] if part not in ("sql", "files"))
        if detail["type"] == "extra_forbidden":
            problems.append(f"{key}: unknown key{_hint(detail['loc'])}")
        elif detail["type"] == "union_tag_not_found":
            problems.append(f'{key}: no such source, or one without kind = "sql" or "files"')
        elif detail["type"] == "missing":
            problems.append(f"{key}: missing, and it has no default")
        else:
            problems.append(f"{key or 'settings'}: {detail['msg']} (found {str(detail['input'])[:80]!r})")
    return f"{file} is not a valid configuration:\n" + "\n".join(f"  {problem}" for problem in problems)


def _hint(location: Sequence[str | int]) -> str:
    model: Any = Settings
    for part in location[:-1]:
        field = model.model_fields.get(str(part)) if isinstance(model, type) and issubclass(model, BaseModel) else None
        model = _section_of(field.annotation) if field else None
    if model is None:
        return ""
    allowed = [field.alias or name for name, field in model.model_fields.items()]
    close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
    return f"; did you mean {close[0]}?" if close else f"; allowed are: {some(sorted(allowed), 12)}"


def _section_of(annotation: Any) -> type[BaseModel] | None:
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
