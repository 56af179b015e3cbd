"""What goes out besides pages: JSON with an ETag, and CSV that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from fastapi import Request, Response

from forecasting.reporting.csv_cells import harmless

FRESH = "private, no-cache"  # may be kept, but is asked for again with its ETag


def answer(request: Request, content: Any, headers: Mapping[str, str] | None = None) -> Response:
    """JSON; 304 without a body where the asker has exactly this already."""
    body = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    return tagged(request, body, "application/json", headers)


def tagged(request: Request, body: bytes, media: str, headers: Mapping[str, str] | None = None) -> Response:
    """A body with an ETag of its own content."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    sent = {"ETag": tag, "Cache-Control": FRESH, **(headers or {})}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=sent)
    return Response(body, media_type=media, headers=sent)


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: days as text, empty cells and infinities as null."""
    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def plain(value: Any) -> Any:
    """One cell."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat() if value == value.normalize() and value.tz is None else value.isoformat()
    return value.isoformat() if hasattr(value, "isoformat") else value


def download(name: str, columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> Response:
    """A CSV file (RFC 4180, UTF-8 with the mark that Excel looks for)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([cell(one) for one in columns])
    writer.writerows([cell(one) for one in line] for line in lines)
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:100]
    headers = {"Content-Disposition": f'attachment; filename="{safe}.csv"', "Cache-Control": FRESH}
    return Response(out.getvalue().encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)


def table(name: str, frame: pd.DataFrame) -> Response:
    """A frame as such a file."""
    return download(name, [str(one) for one in frame.columns], frame.itertuples(index=False, name=None))


def cell(value: Any) -> str | float | int:
    """One cell: numbers as they are, and no text that a spreadsheet would run (OWASP: CSV injection)."""
    found = plain(value)
    if found is None:
        return ""
    if isinstance(found, int | float):
        return found
    return harmless(str(found))
