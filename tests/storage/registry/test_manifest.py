import io
import json
import pickle  # noqa: TID251 - what we refuse is made here, and never opened
import zipfile

import numpy as np
import pytest

from forecasting.core.errors import ArtifactError
from forecasting.storage.registry.manifest import MANIFEST_FILE, verify, write_manifest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.json").write_text('{"model": "seasonal_naive"}')
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "trees.txt").write_text("tree 1\n")
    np.savez(tmp_path / "part" / "levels.npz", level=np.arange(3.0))
    return tmp_path


def test_a_folder_as_it_was_written_passes(folder):
    digest = write_manifest(folder)
    verify(folder, digest)
    files = json.loads((folder / MANIFEST_FILE).read_text())["files"]
    assert set(files) == {"model.json", "part/trees.txt", "part/levels.npz"}
    assert files["part/trees.txt"]["size"] == 7
    # printf 'tree 1\n' | sha256sum
    assert files["part/trees.txt"]["sha256"] == "d2f2a960df4c3a5b3fa08474cfe532896072e517c4b89ade2c1f145c507e487b"


def test_a_changed_letter_is_seen(folder):
    write_manifest(folder)
    (folder / "part" / "trees.txt").write_text("tree 2\n")
    with pytest.raises(ArtifactError, match=r"altered: part/trees\.txt;"):
        verify(folder)


def test_a_truncated_file_is_seen(folder):
    write_manifest(folder)
    path = folder / "part" / "levels.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"altered: part/levels\.npz"):
        verify(folder)


def test_missing_and_surplus_files_are_named(folder):
    write_manifest(folder)
    (folder / "part" / "trees.txt").rename(folder / "part" / "other.txt")
    with pytest.raises(ArtifactError, match=r"missing: part/trees\.txt; .*not in manifest\.json: part/other\.txt"):
        verify(folder)


def test_a_manifest_rewritten_to_fit_is_not_the_registered_one(folder):
    digest = write_manifest(folder)
    (folder / "part" / "trees.txt").write_text("tree 2\n")
    assert write_manifest(folder) != digest
    verify(folder)
    with pytest.raises(ArtifactError, match="not the manifest that was registered"):
        verify(folder, digest)


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"files": {"model.json": 3}}'])
def test_a_manifest_that_is_missing_or_none_is_refused(folder, text):
    if text is not None:
        (folder / MANIFEST_FILE).write_text(text)
    with pytest.raises(ArtifactError, match="cannot be read"):
        verify(folder)


@pytest.mark.parametrize("name", ["model.pkl", "part/model.PICKLE", "x.joblib", "weights.pt"])
def test_a_name_of_a_pickle_is_enough_to_be_refused(folder, name):
    write_manifest(folder)
    (folder / name).write_text("harmless")
    with pytest.raises(ArtifactError, match="runs code when it is opened"):
        verify(folder)
    with pytest.raises(ArtifactError, match="runs code when it is opened"):
        write_manifest(folder)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_under_another_name_is_refused(folder, protocol):
    (folder / "model.json").write_bytes(pickle.dumps({"a": 1}, protocol))
    with pytest.raises(ArtifactError, match=r"model\.json"):
        write_manifest(folder)


def test_a_pickle_within_a_zip_is_refused(folder):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", "x")
    (folder / "weights.npz").write_bytes(content.getvalue())
    with pytest.raises(ArtifactError, match=r"weights\.npz"):
        write_manifest(folder)


def test_a_link_is_refused(folder):
    (folder / "link.json").symlink_to("/etc/hostname")
    with pytest.raises(ArtifactError, match=r"links.*link\.json"):
        write_manifest(folder)


def test_no_folder_and_an_empty_one_are_errors(tmp_path):
    with pytest.raises(ArtifactError, match="no model folder"):
        verify(tmp_path / "none")
    with pytest.raises(ArtifactError, match="holds no files"):
        write_manifest(tmp_path)
