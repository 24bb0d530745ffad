"""One function per study: ``archaeo.study.heads(model, data)``.

Each takes a model, or a dictionary of models by name, and data, and gives a ``StudyResult``. ``archaeo.studies()`` lists them and what
each asks. Options of the study itself are named as in ``[studies.ID]`` of a configuration (``archaeo configs excavate`` shows all):
``archaeo.study.attacks(model, data, images=100)``.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import _archaeo
from ._data import Data
from ._data import data as open_data
from ._results import StudyResult
from ._settings import asked

if TYPE_CHECKING:
    from ._model import Model

#: Options that all studies share.
_SHARED = ("resamples", "batch_size", "training_images")


def _run(
    study: str,
    models: Model | Mapping[str, Model],
    data: Data | str | os.PathLike[str] = "sherds",
    *,
    split: str | None = None,
    limit: int | None = None,
    quick: bool = False,
    seed: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    **options: Any,
) -> StudyResult:
    named = models if isinstance(models, Mapping) else {"model": models}
    opened = data if isinstance(data, Data) else open_data(data)
    own = {key: f"studies.{key}" if key in _SHARED else f"studies.{study}.{key}" for key in options}
    chosen = [f"{own[key]}={json.dumps(value)}" for key, value in options.items()]
    native = [(name, model._native) for name, model in named.items()]
    with tempfile.TemporaryDirectory(prefix="archaeo-") as own_folder:
        where = own_folder if folder is None else os.fspath(folder)
        found = _archaeo.study(study, native, opened._native, chosen, quick, split, limit, where, asked(seed))
    return StudyResult(found["id"], found["title"], found["split"], found["findings"], found["claims"], found["page"])


def _function(study: str, title: str, question: str) -> Callable[..., StudyResult]:
    def ask(models: Any, data: Any = "sherds", **options: Any) -> StudyResult:
        return _run(study, models, data, **options)

    ask.__name__ = ask.__qualname__ = study.replace("-", "_")
    ask.__module__ = __name__
    ask.__doc__ = f"""{title}: {question.replace("{it}", "a model")}.

    Parameters
    ----------
    models : Model or dict of Model
        The model, or several by name (small letters, digits, hyphens), whose outputs are in one order.
    data : Data or str
        The data set, or where it is.
    split : str
        The images to ask about; by default those that final numbers are measured on.
    limit : int
        How many of them, each class with its share.
    quick : bool
        Whether options that are not given have the small values of ``--quick``.
    seed : int
        Key of samples, attacks and intervals.
    folder : str
        Where pictures are kept; by default they are in the result's page alone.
    **options
        Options of the study, and ``resamples``, ``batch_size``, ``training_images``.

    Raises
    ------
    ValueError
        A study that does not apply to the model or the data, an option that does not exist, classes that cannot be matched.
    """
    return ask


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        for study in _archaeo.known()["studies"]:
            if study["id"].replace("-", "_") == name:
                found = _function(study["id"], study["title"], study["question"])
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(study["id"].replace("-", "_") for study in _archaeo.known()["studies"])
