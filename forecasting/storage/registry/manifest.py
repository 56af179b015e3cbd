"""What a model folder is made of, byte for byte, so that nothing altered or dangerous is ever loaded.

manifest.json names every other file with its size and SHA-256; the digest of manifest.json itself is kept in the
registry, beside the folder and not in it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

from forecasting.core.errors import ArtifactError, some

MANIFEST_FILE = "manifest.json"
REFUSED_SUFFIXES = (".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth")
_PICKLE_STARTS = tuple(bytes([0x80, protocol]) for protocol in range(1, 6))


def write_manifest(folder: Path) -> str:
    """Write manifest.json for all that is in the folder; returns the manifest's own digest (SHA-256, hex).

    Raises ArtifactError where there is nothing, or something that we refuse.
    """
    refuse_pickles(folder)
    files = _files(folder)
    if not files:
        raise ArtifactError(f"{folder} holds no files: there is no model to register.")
    content = {name: {"size": path.stat().st_size, "sha256": _digest(path)} for name, path in files.items()}
    manifest = folder / MANIFEST_FILE
    manifest.write_text(json.dumps({"files": content}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return _digest(manifest)


def verify(folder: Path, digest: str | None = None) -> None:
    """Check the folder against its manifest, and that against its `digest` where one is given; loads nothing.

    Raises ArtifactError for a missing, altered or surplus file, a link, or anything that looks like a pickle.
    """
    refuse_pickles(folder)
    expected = _manifest(folder, digest)
    files = _files(folder)
    missing = sorted(set(expected) - set(files))
    surplus = sorted(set(files) - set(expected))
    altered = [name for name in sorted(set(files) & set(expected)) if not _same(files[name], expected[name])]
    if missing or surplus or altered:
        raise ArtifactError(
            f"The model folder {folder} is not what was registered: missing: {some(missing) or 'none'}; "
            f"altered: {some(altered) or 'none'}; not in {MANIFEST_FILE}: {some(surplus) or 'none'}. "
            "Nothing was loaded. Restore the folder, or promote another version."
        )


def refuse_pickles(folder: Path) -> None:
    """Raise ArtifactError where a file below the folder is a pickle by its name, its first bytes or, in a zip, inside.

    A pickle runs code when it is opened, so none is ever accepted, whoever wrote it.
    """
    if not folder.is_dir():
        raise ArtifactError(f"There is no model folder at {folder}.")
    found = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if _is_pickle(path)]
    if found:
        raise ArtifactError(
            f"The model folder {folder} holds what runs code when it is opened: {some(found)}. Nothing was loaded. "
            "Models are text, JSON and npz only."
        )


def _is_pickle(path: Path) -> bool:
    if path.suffix.lower() in REFUSED_SUFFIXES:
        return True
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return any(name.lower().endswith(REFUSED_SUFFIXES) for name in archive.namelist())
    return start.startswith(_PICKLE_STARTS)


def _manifest(folder: Path, digest: str | None) -> dict[str, dict[str, object]]:
    path = folder / MANIFEST_FILE
    try:
        content = path.read_bytes()
        files = json.loads(content)["files"]
        expected = {str(name): dict(facts) for name, facts in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path} cannot be read, so the model is not loaded: {error}") from None
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise ArtifactError(
            f"{path} is not the manifest that was registered (expected SHA-256 {digest[:12]}...). Nothing was loaded. "
            "Restore the folder, or promote another version."
        )
    return expected


def _files(folder: Path) -> dict[str, Path]:
    """Every file but the manifest, by its path in the folder with forward slashes."""
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    links = [name for name, path in paths.items() if path.is_symlink()]
    if links:
        raise ArtifactError(f"The model folder {folder} holds links, which may lead anywhere: {some(links)}.")
    return {name: path for name, path in paths.items() if path.is_file() and name != MANIFEST_FILE}


def _same(path: Path, facts: dict[str, object]) -> bool:
    return path.stat().st_size == facts.get("size") and _digest(path) == facts.get("sha256")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
