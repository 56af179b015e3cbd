"""Names that modules had in releases up to 0.2, as far as they are written down outside of this code: see OLD."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

OLD = {
    # served.py in the MLflow versions of 0.1 and 0.2 imports these, where this package is loaded already.
    "forecasting.data.frequency": "forecasting.core.frequency",
    "forecasting.data.panel": "forecasting.panel.panel",
    "forecasting.errors": "forecasting.core.errors",
    "forecasting.stores.manifest": "forecasting.storage.registry.manifest",
    # Deadlines in Airflow's database name their callback.
    "forecasting.deadline": "forecasting.airflow.deadline",
    # The entry point of an environment that was installed before.
    "forecasting.planner.plugin": "forecasting.web.plugin",
}
PACKAGES = {name.rpartition(".")[0] for name in OLD} - {"forecasting"}


class OldNames(MetaPathFinder, Loader):
    """An old module is a new object with what the module of the new name holds; it is loaded where it is asked for."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return a spec for an old name, None for every other one."""
        if fullname in OLD or fullname in PACKAGES:
            return ModuleSpec(fullname, self, is_package=fullname in PACKAGES)
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Return None: Python makes the module object."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill an old module with what the new one holds."""
        if new := OLD.get(module.__name__):
            held = vars(import_module(new))
            vars(module).update({name: value for name, value in held.items() if not name.startswith("__")})


def install() -> None:
    """Let old names be imported; modules that are there come first."""
    sys.meta_path.append(OldNames())
