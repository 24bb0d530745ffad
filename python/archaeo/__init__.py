"""Attention Archaeology: a forensic laboratory for vision models.

>>> import archaeo
>>> model = archaeo.Model.from_torch(timm.create_model("vit_tiny_patch16_224", pretrained=True))
>>> model.explain("photo.jpg", method="chefer")

``Model`` asks a model about images, ``data`` opens data sets, ``study`` has one function per study, and ``excavate`` runs a whole
investigation. Layers, heads and blocks have numbers from 1, as everywhere in the program and in what it writes; only places in arrays,
classes among them, are Python's, from 0.

Nothing is imported before it is used: ``import archaeo`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import study as study
    from ._archaeo import __version__ as __version__
    from ._data import Data as Data
    from ._data import Samples as Samples
    from ._data import Split as Split
    from ._data import data as data
    from ._excavate import Excavation as Excavation
    from ._excavate import excavate as excavate
    from ._known import attacks as attacks
    from ._known import methods as methods
    from ._known import studies as studies
    from ._model import Model as Model
    from ._results import Ablation as Ablation
    from ._results import Attack as Attack
    from ._results import Explanation as Explanation
    from ._results import Prediction as Prediction
    from ._results import StudyResult as StudyResult
    from ._settings import configure as configure

_HOMES = {
    "Ablation": "_results",
    "Attack": "_results",
    "Data": "_data",
    "Excavation": "_excavate",
    "Explanation": "_results",
    "Model": "_model",
    "Prediction": "_results",
    "Samples": "_data",
    "Split": "_data",
    "StudyResult": "_results",
    "__version__": "_archaeo",
    "attacks": "_known",
    "configure": "_settings",
    "data": "_data",
    "excavate": "_excavate",
    "methods": "_known",
    "studies": "_known",
}

__all__ = [name for name in _HOMES if not name.startswith("_")] + ["study"]


def __getattr__(name: str) -> Any:
    if name == "study":
        return importlib.import_module(".study", __name__)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__ + ["__version__"])
