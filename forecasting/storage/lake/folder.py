"""The folder of the lake, local or on S3: whole files, of which a reader never sees half."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fsspec

from forecasting.core.config.sections import LakeSettings
from forecasting.core.errors import StoreError

# Options may have the names of fsspec, as those of file sources do, or those of Delta's object store.
NAMES = {
    "key": "aws_access_key_id",
    "secret": "aws_secret_access_key",
    "token": "aws_session_token",
    "endpoint_url": "aws_endpoint_url",
    "region_name": "aws_region",
}


@dataclass(frozen=True)
class Folder:
    """A place for files, by their path below it."""

    path: str
    files: Any  # fsspec.AbstractFileSystem, which has no types
    local: bool

    @classmethod
    def of(cls, settings: LakeSettings) -> Folder:
        """The folder of the lake. Raises StoreError for an address of an unknown kind."""
        address = settings.path.removeprefix("file://").rstrip("/")
        if "://" not in address:
            return cls(str(Path(address).absolute()), fsspec.filesystem("file"), local=True)
        stated = delta_options(settings)
        options: dict[str, Any] = {ours: stated[theirs] for ours, theirs in NAMES.items() if theirs in stated}
        if "region_name" in options:
            options["client_kwargs"] = {"region_name": options.pop("region_name")}
        try:
            return cls(address, fsspec.filesystem(address.split("://")[0], **options), local=False)
        except (ValueError, ImportError) as error:
            raise StoreError(f"lake.path = {settings.path!r} is no folder and no s3:// address: {error}") from error

    def at(self, *parts: str) -> str:
        """Address of something below."""
        return "/".join((self.path, *parts))

    def write(self, data: bytes, *parts: str) -> None:
        """A whole file at once, in place of an earlier one. Raises StoreError where nothing can be written."""
        try:
            self._write(data, *parts)
        except OSError as error:
            raise StoreError(f"{self.at(*parts)} cannot be written: {error}. See lake.path, lake.options.") from error

    def _write(self, data: bytes, *parts: str) -> None:
        if not self.local:
            self.files.pipe_file(self.at(*parts), data)
            return
        target = Path(self.at(*parts))
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            half.write_bytes(data)
        except OSError:
            half.unlink(missing_ok=True)  # on a full disk every block counts
            raise
        half.replace(target)

    def read(self, *parts: str) -> bytes:
        """A whole file. Raises FileNotFoundError."""
        self.files.invalidate_cache()
        return bytes(self.files.cat_file(self.at(*parts)))

    def names(self, *parts: str) -> list[str]:
        """What lies in a folder, sorted; nothing where there is none, and nothing half written."""
        self.files.invalidate_cache()
        try:
            found = self.files.ls(self.at(*parts), detail=False)
        except FileNotFoundError:
            return []
        itself = self.at(*parts).split("://", 1)[-1]  # some S3 stores list an empty folder as its own content
        paths = (path for path in (str(name).rstrip("/") for name in found) if path != itself)
        return sorted(name for name in (path.rsplit("/", 1)[-1] for path in paths) if not name.startswith("."))

    def exists(self, *parts: str) -> bool:
        """Whether there is such a file."""
        self.files.invalidate_cache()
        return bool(self.files.exists(self.at(*parts)))

    def modified(self, *parts: str) -> datetime:
        """When a file was written, UTC. Raises FileNotFoundError."""
        at: datetime = self.files.modified(self.at(*parts))
        return at.astimezone(UTC)

    def remove(self, *parts: str) -> None:
        """A folder with all that it holds, if there is one."""
        if self.local:
            shutil.rmtree(self.at(*parts), ignore_errors=True)
        elif self.files.exists(self.at(*parts)):
            self.files.rm(self.at(*parts), recursive=True)


def delta_options(settings: LakeSettings) -> dict[str, str]:
    """Storage options as Delta wants them."""
    options = {NAMES.get(key.lower(), key.lower()): value for key, value in settings.options.items()}
    if options.get("aws_endpoint_url", "").startswith("http://"):
        options.setdefault("aws_allow_http", "true")
    return options


def quoted(name: str) -> str:
    """As one part of a path: no slash, and not hidden."""
    return quote(name, safe="").replace(".", "%2E")
