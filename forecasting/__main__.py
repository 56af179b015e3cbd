"""The command line: every step of a night, without Airflow.

    python -m forecasting run --conf conf/demo.toml --cutoff 2026-06-30

Results go to stdout (`--json` for machines), progress and errors to stderr. Exit codes: 0 done, 1 the work failed,
2 the command or its configuration is wrong. This module imports nothing heavy; a command's own module is loaded when
it runs.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from forecasting.core.errors import ForecastingError, MachineError, SettingsError

DEFAULT_CONF = "conf/demo.toml"


@dataclass(frozen=True)
class Command:
    """One word of the command line: the function behind it as "module:function", and its help."""

    target: str
    about: str


COMMANDS = {
    "run": Command("forecasting.cli.night:run", "one whole night: extract, train if due, forecast, monitor"),
    "extract": Command("forecasting.cli.night:extract", "read and screen the sources, write a snapshot and its panel"),
    "train": Command("forecasting.cli.night:train", "backtest the candidates and register a champion, if due"),
    "forecast": Command("forecasting.cli.night:forecast", "forecast every series and publish the vintage"),
    "monitor": Command("forecasting.cli.night:monitor", "score past forecasts against the sales known by now"),
    "rollback": Command(
        "forecasting.cli.operate.rollback:rollback", "make an earlier model the champion again, forecast anew"
    ),
    "trace": Command("forecasting.cli.operate.trace:trace", "tell where one published number came from"),
    "reproduce": Command(
        "forecasting.cli.operate.trace:reproduce", "make a published vintage again, compare bit for bit"
    ),
    "replenish": Command("forecasting.cli.night:replenish", "propose orders from the newest vintage and the stock"),
    "export": Command("forecasting.cli.night:export", "write the night's tables as files"),
    "report": Command("forecasting.cli.night:write_report", "write the night's report, and send it where it is new"),
    "override": Command("forecasting.cli.override:override", "change forecasts by hand, beside the statistical number"),
    "retention": Command("forecasting.cli.night:retention", "remove what the rules of [retention] let go"),
    "migrate": Command(
        "forecasting.cli.operate.migrate:migrate", "bring the warehouse's tables to this release, or back"
    ),
    "grants": Command(
        "forecasting.cli.operate.grants:grants", "print SQL for roles that may write or only read the tables"
    ),
    "backup": Command("forecasting.cli.operate.backup:backup", "copy all stores of this machine to a folder"),
    "restore": Command("forecasting.cli.operate.backup:restore", "put the stores back as they were in a backup"),
    "show": Command("forecasting.cli.show:show", "print forecasts, the champion and the last runs"),
    "doctor": Command(
        "forecasting.cli.operate.doctor:main", "check versions, configuration, sources, stores and the machine"
    ),
    "demo": Command("forecasting.cli.demo:demo", "create the demo retailer, or let days pass in it"),
    "tables": Command("forecasting.cli.tables:tables", "describe every table of the system (docs/tables.md)"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run one command, and turn errors into a message and an exit code."""
    arguments = parser().parse_args(argv)
    # Waiting threads of LightGBM sleep instead of spinning: beside a busy process that is 1.5 s instead of 4 and more.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    module, function = COMMANDS[arguments.command].target.split(":")
    try:
        return int(getattr(importlib.import_module(module), function)(arguments))
    except ForecastingError as error:
        if arguments.debug:
            raise
        _complain(error, arguments.json)
        return 2 if isinstance(error, SettingsError) else 1
    except BrokenPipeError:  # `... | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (MemoryError, OSError) as error:
        if arguments.debug:
            raise
        _complain(MachineError(_refused(arguments.command, error)), arguments.json)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; nothing that was not finished has been published.", file=sys.stderr)  # noqa: T201
        return 130


def _refused(command: str, error: MemoryError | OSError) -> str:
    """What the machine would not do, where, and what to do about it."""
    told = (
        f"`{command}` stopped, the last good forecasts stay: {type(error).__name__}: {str(error) or 'no memory left'}."
    )
    if isinstance(error, MemoryError):
        return (
            f"{told} Give it more memory, or less at once: forecast.shard_series, train.lightgbm.rows, panel.history."
        )
    return f"{told} See that the disk has room and that lake.path, the temporary folder and the stores are writable."


def _complain(error: ForecastingError, as_json: bool) -> None:
    name = type(error).__name__
    if as_json:
        import json

        print(json.dumps({"error": name, "message": str(error)}))  # noqa: T201
    if os.environ.get("FORECASTING_LOG") == "json":
        from forecasting.cli import logs

        logs.error(name, str(error))
    else:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201


def parser() -> argparse.ArgumentParser:
    """Everything that the command line understands."""
    top = argparse.ArgumentParser(
        prog="python -m forecasting",
        description="Demand forecasting: from sales to forecast tables. The same steps run under Airflow.",
        epilog="Start with: demo, then run, then show.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parsers = {}
    for name, command in COMMANDS.items():
        parsers[name] = commands.add_parser(name, help=command.about, description=command.about.capitalize() + ".")
        _common(parsers[name])
    for name in ("run", "extract", "train", "forecast", "monitor", "replenish", "export", "report"):
        parsers[name].add_argument(
            "--cutoff", type=_day, metavar="DATE", help="last day whose sales are known, as YYYY-MM-DD"
        )
    for name in ("run", "train"):
        parsers[name].add_argument("--force", action="store_true", help="train even where no training is due")
    parsers["rollback"].add_argument(
        "--to", required=True, metavar="VERSION", help="version to go back to, as in MLflow"
    )
    parsers["rollback"].add_argument("--reason", required=True, metavar="TEXT", help="why; kept in `promotions`")
    parsers["rollback"].add_argument("--by", metavar="NAME", help="who says so; default: the user of this machine")
    parsers["backup"].add_argument("--to", required=True, metavar="FOLDER", help="new folder that the backup goes to")
    parsers["restore"].add_argument("--from", required=True, dest="source", metavar="FOLDER", help="folder of a backup")
    parsers["restore"].add_argument("--overwrite", action="store_true", help="in place of what the stores hold now")
    parsers["retention"].add_argument("--dry-run", action="store_true", help="only tell what would be removed")
    parsers["migrate"].add_argument("--to", metavar="REVISION", help="such as 0002, or base; default: the newest")
    parsers["migrate"].add_argument("--sql", action="store_true", help="print the SQL, and change nothing")
    parsers["grants"].add_argument(
        "--writer", default="forecasting", metavar="ROLE", help="that steps run as (default: forecasting)"
    )
    parsers["grants"].add_argument("--reader", action="append", default=[], metavar="ROLE", help="may be repeated")
    _trace(parsers["trace"], parsers["reproduce"])
    _show(parsers["show"])
    _override(parsers["override"])
    parsers["demo"].add_argument(
        "--days", type=_count, default=0, metavar="N", help="let N days pass; without it the shop is only created"
    )
    return top


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--conf",
        default=os.environ.get("FORECASTING_CONF", DEFAULT_CONF),
        metavar="FILE",
        help="configuration (TOML); default: $FORECASTING_CONF, else " + DEFAULT_CONF,
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="KEY=VALUE",
        help="change one setting, e.g. panel.horizon=14; may be repeated",
    )
    command.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else, on stdout")
    command.add_argument("--debug", action="store_true", help="show the traceback of an error, and what libraries log")


def _trace(trace: argparse.ArgumentParser, reproduce: argparse.ArgumentParser) -> None:
    trace.add_argument("--series", required=True, metavar="ID", help="name of the series")
    trace.add_argument(
        "--ds",
        type=_period,
        required=True,
        metavar="DATE",
        help="first day of the forecast period; of hours 2026-06-30T14",
    )
    trace.add_argument("--cutoff", type=_day, metavar="DATE", help="vintage; default: the newest that has the day")
    reproduce.add_argument("--cutoff", type=_day, required=True, metavar="DATE", help="vintage to make again")
    reproduce.add_argument("--retrain", action="store_true", help="train its models again from their snapshots too")


def _show(command: argparse.ArgumentParser) -> None:
    command.add_argument("--series", metavar="GLOB", help="only series with this name, e.g. 'MILK_*'")
    command.add_argument("--rows", type=_count, default=10, metavar="N", help="rows of each table (default 10)")


def _override(command: argparse.ArgumentParser) -> None:
    value = command.add_mutually_exclusive_group()
    value.add_argument("--units", type=float, metavar="N", help="units a period, of the whole group")
    value.add_argument("--percent", type=float, metavar="N", help="on top of the forecast: 10, or -20 for a fifth less")
    value.add_argument("--withdraw", metavar="OVERRIDE", help="take one back, by its id")
    command.add_argument("--series", metavar="ID", help="name of the series")
    command.add_argument("--level", metavar="LEVEL", help="or a group: total, an attribute, several joined by |")
    command.add_argument("--name", metavar="GROUP", help="value of the level; `all` for the total")
    command.add_argument("--from", type=_day, dest="start", metavar="DATE", help="first day")
    command.add_argument("--to", type=_day, dest="end", metavar="DATE", help="last day, included")
    command.add_argument("--reason", metavar="TEXT", help="why, in a few words: value added is measured by it")
    command.add_argument("--expires", type=_day, metavar="DATE", help="last cutoff that it holds for; default: no end")
    command.add_argument("--note", metavar="TEXT", help="anything else to write down")
    command.add_argument("--by", metavar="NAME", help="who says so; default: the user of this machine")
    command.add_argument("--change", metavar="OVERRIDE", help="make this a new version of an override, by its id")
    command.add_argument("--preview", action="store_true", help="only tell what it would change")
    command.add_argument("--all", action="store_true", help="list withdrawn ones too")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write it as YYYY-MM-DD, e.g. 2026-06-30") from None


def _period(text: str) -> date:
    """A day, or the hour of one."""
    try:
        return _day(text)
    except argparse.ArgumentTypeError:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
        raise


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
