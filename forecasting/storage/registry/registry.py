"""The registry of models in MLflow: one registered model, its versions, and which of them is the champion.

A version is promoted by tags (when, why) and the newest by an alias too. A past cutoff finds the version that was
trained at or before it, so that a backfill never uses what was learnt later. The tag `state` says what became of a
version: champion (now or once), waiting for a person, shadow (watched beside the champion), rejected, withdrawn.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import mlflow.artifacts
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from forecasting.core.config.sections import MlflowSettings
from forecasting.core.errors import ArtifactError, StoreError, some
from forecasting.storage.registry import manifest, tracking
from forecasting.storage.registry.tracking import Card
from forecasting.storage.registry.versions import Version, bare, cutoff_of

__all__ = ["Card", "Registry", "Version"]
ALIAS = "champion"
PAGE = 200


class Registry:
    """The registered model of one deployment. Every method raises StoreError where MLflow refuses."""

    def __init__(self, settings: MlflowSettings) -> None:
        self._settings = settings
        self._made: MlflowClient | None = None

    def log(self, folder: Path, card: Card) -> Version:
        """Log one run with the card, and register the folder as a new version of the model; it is not promoted yet.

        Raises ArtifactError where the folder is empty or holds what we refuse to load. A run that fails is marked so.
        """
        manifest.refuse_pickles(folder)
        with self._errors():
            run = self._client.create_run(
                tracking.experiment(self._client, self._settings), run_name=f"{card.name} {card.cutoff}"
            )
            run_id, ended = run.info.run_id, "FAILED"
            try:
                tracking.describe(self._client, run_id, card)
                logged, digest = tracking.log_model(self._client, run_id, folder, card)
                tags = {**card.tags, "name": card.name, "cutoff": card.cutoff.isoformat(), "snapshot": card.snapshot}
                self._ensure_model()
                made = tracking.register(self._client, self._settings.model, logged, {**tags, "manifest": digest})
                ended = "FINISHED"
            finally:
                self._client.set_terminated(run_id, ended)
            return self._version(made)

    def champion(self, cutoff: date | None = None) -> Version | None:
        """The newest promoted version that was trained at or before the cutoff; None = the one with the alias."""
        with self._errors():
            if cutoff is None:
                found = self._by_alias()
                return None if found is None else self._version(found)
            fit = self._promoted(cutoff)
            return self._version(fit[0]) if fit else None

    def champions(self, cutoff: date) -> list[Version]:
        """Promoted versions that were trained at or before the cutoff, newest first: a chain to fall back along."""
        with self._errors():
            return [bare(made) for made in self._promoted(cutoff)]

    def version(self, version: str) -> Version:
        """One version with its metrics. Raises StoreError naming those that there are."""
        there = self.versions()
        if version not in {one.version for one in there}:
            known = some(f"{one.version} ({one.name}, trained at {one.cutoff})" for one in there) or "none"
            raise StoreError(f"Model {self._settings.model} has no version {version!r}. Newest first: {known}.")
        with self._errors():
            return self._version(self._client.get_model_version(self._settings.model, version))

    def versions(self) -> list[Version]:
        """All versions, newest first, without their metrics (which would cost a call each)."""
        with self._errors():
            return [bare(made) for made in sorted(self._search(), key=lambda made: -int(made.version))]

    def promote(self, version: str, reason: str, description: str = "") -> None:
        """Tag the version as promoted, and give it the alias `champion` unless a newer-trained version has that.

        So a version that a backfill trained for a past cutoff serves that past and leaves today's champion alone. The
        state comes last: without one, a training has not ended.
        """
        name, now = self._settings.model, datetime.now(UTC).isoformat(timespec="seconds")
        with self._errors():
            made = self._client.get_model_version(name, version)
            live = self._by_alias()
            if description:
                self._client.update_model_version(name, version, description)
            self._tag(version, promoted_reason=reason, promoted=now)
            if live is None or cutoff_of(live) <= cutoff_of(made):
                self._client.set_registered_model_alias(name, ALIAS, version)
            self._tag(version, state="champion")

    def mark(self, version: str, state: str, reason: str, description: str = "") -> None:
        """Say what became of a version that is not promoted, and why; the description is Markdown for people."""
        with self._errors():
            if description:
                self._client.update_model_version(self._settings.model, version, description)
            self._tag(version, verdict=reason, state=state)

    def discard(self, version: str, reason: str) -> None:
        """Reject a version whose training did not end; where it was half promoted, that is taken back. Twice = once."""
        with self._errors():
            name, made, live = (
                self._settings.model,
                self._client.get_model_version(self._settings.model, version),
                self._by_alias(),
            )
            if "promoted" in made.tags:
                self._client.delete_model_version_tag(name, version, "promoted")
            if live is not None and live.version == made.version:
                back = self._promoted(date.max)
                if back:
                    self._client.set_registered_model_alias(name, ALIAS, back[0].version)
                else:
                    self._client.delete_registered_model_alias(name, ALIAS)
            self._tag(version, verdict=reason, state="rejected")

    def rollback(self, version: str, reason: str, by: str, cutoff: date) -> list[str]:
        """Make an earlier version the champion again; every one promoted with newer training is withdrawn.

        Returns the withdrawn versions. Raises StoreError where it is the champion already, or was trained after the
        cutoff.
        """
        back, live = self.version(version), self.champion(cutoff)
        if live is not None and live.version == version:
            raise StoreError(f"Version {version} is the champion of cutoff {cutoff} already: nothing was changed.")
        if back.cutoff > cutoff:
            raise StoreError(
                f"Version {version} was trained at {back.cutoff}, after the newest published cutoff {cutoff}: it "
                "cannot forecast from there."
            )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        newer = [one for one in self.champions(cutoff) if (one.cutoff, int(one.version)) > (back.cutoff, int(version))]
        with self._errors():
            self._tag(
                version, promoted=now, promoted_reason=f"rolled back to by {by}: {reason}", state="champion",
                rolled_back_at=cutoff.isoformat(),
            )  # fmt: skip
            for one in newer:
                self._tag(one.version, state="withdrawn", withdrawn=now, withdrawn_reason=f"{by}: {reason}")
                self._client.delete_model_version_tag(self._settings.model, one.version, "promoted")
            self._client.set_registered_model_alias(self._settings.model, ALIAS, version)
        return [one.version for one in newer]

    def attach(self, version: str, name: str, content: str) -> str:
        """Keep a text file with the run that trained the version, in place of one of its name; returns the run's id."""
        with self._errors():
            run_id = str(self._client.get_model_version(self._settings.model, version).run_id)
            self._client.log_text(run_id, content, name)
            return run_id

    def remove(self, version: str) -> None:
        """Delete a version with its files and the run that trained it. Raises StoreError for one that people rely on.

        Those are the one with the alias, and all that wait or are watched.
        """
        with self._errors():
            made, live = self._client.get_model_version(self._settings.model, version), self._by_alias()
            if bare(made).state in ("", "waiting", "shadow") or (live is not None and live.version == made.version):
                raise StoreError(f"Version {version} is in use ({bare(made).state or 'new'}) and is not removed.")
            self._client.delete_model_version(self._settings.model, version)
            tracking.remove(self._client, made)

    def fetch(self, version: str) -> Path:
        """A local folder with the version's model, checked byte for byte against what was registered.

        Raises ArtifactError where a file is missing, altered, surplus or a pickle; nothing is loaded before.
        """
        with self._errors():
            made = self._client.get_model_version(self._settings.model, version)
            digest = made.tags.get("manifest")
            if digest is None:
                raise ArtifactError(
                    f"Version {version} of model {self._settings.model} has no tag `manifest`: it was not registered "
                    "by this system and is not loaded. Train again, or promote a version that was."
                )
            folder = self._download(made, digest)
        manifest.refuse_pickles(folder)
        manifest.verify(folder / tracking.MODEL_FOLDER, digest)
        return folder / tracking.MODEL_FOLDER

    @property
    def _client(self) -> MlflowClient:
        if self._made is None:
            uri = self._settings.tracking_uri
            if uri.startswith("sqlite:///"):
                Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            self._made = MlflowClient(uri, registry_uri=uri)
        return self._made

    def _ensure_model(self) -> None:
        try:
            self._client.create_registered_model(self._settings.model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _tag(self, version: str, **tags: str) -> None:
        for key, value in tags.items():
            self._client.set_model_version_tag(self._settings.model, version, key, value)

    def _promoted(self, cutoff: date) -> list[ModelVersion]:
        fit = [made for made in self._search() if "promoted" in made.tags and cutoff_of(made) <= cutoff]
        return sorted(fit, key=lambda made: (cutoff_of(made), int(made.version)), reverse=True)

    def _by_alias(self) -> ModelVersion | None:
        try:
            return self._client.get_model_version_by_alias(self._settings.model, ALIAS)
        except MlflowException as error:
            # No such model, or no such alias: both mean that nothing was ever promoted.
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def _search(self) -> list[ModelVersion]:
        found: list[ModelVersion] = []
        token = None
        while True:
            page = self._client.search_model_versions(f"name = '{self._settings.model}'", PAGE, page_token=token)
            found += [made for made in page if "cutoff" in made.tags]
            token = page.token
            if not token:
                return found

    def _version(self, made: ModelVersion) -> Version:
        metrics = self._client.get_run(made.run_id).data.metrics if made.run_id else {}
        return replace(bare(made), metrics=dict(metrics))

    def _download(self, made: ModelVersion, digest: str) -> Path:
        """Where the version's folder is: in place on this machine, or in a private cache that is filled once."""
        uri = self._client.get_model_version_download_uri(self._settings.model, made.version)
        local = tracking.local_path(uri)
        if local is not None:
            return local
        cache = Path(tempfile.gettempdir()) / f"forecasting-models-{os.getuid()}"
        cache.mkdir(mode=0o700, exist_ok=True)
        if cache.stat().st_uid != os.getuid():
            raise ArtifactError(f"{cache} belongs to another user: remove it, or set TMPDIR to a folder of your own.")
        target = cache / digest
        if not target.is_dir():
            place = tempfile.mkdtemp(dir=cache)
            tracking_uri = self._settings.tracking_uri
            found = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=place, tracking_uri=tracking_uri)
            try:
                Path(found).rename(target)
            except OSError:
                if not target.is_dir():  # else another process was faster, with the same files
                    raise
            shutil.rmtree(place, ignore_errors=True)
        return target

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """MLflow's own errors as StoreError; its notes about a new database are not for a log that people read."""
        uri = self._settings.tracking_uri
        for name in ("alembic", "mlflow"):
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # no pip in an environment made by uv
        try:
            yield
        except (MlflowException, OSError) as error:
            raise StoreError(
                tracking.without_login(
                    uri,
                    f"The model registry at {uri} cannot do that: {type(error).__name__}: {error} "
                    "Is mlflow.tracking_uri right, the server up, the place writable?",
                )
            ) from None
