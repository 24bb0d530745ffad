"""The whole investigation."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import _archaeo
from ._results import Result, StudyResult, data_frame
from ._settings import asked

if TYPE_CHECKING:
    import pandas

    from ._model import Model



@dataclass
class Excavation(Result):
    """What an investigation found.

    Attributes
    ----------
    out : str
        Its folder, which ``archaeo lab --run``, ``archaeo verify`` and ``archaeo report`` take.
    report : str
        The report, one self-contained page.
    trust, headlines : list of str
        Whether the models can be trusted, and what was found, a paragraph each.
    studies : dict
        Findings of every study that applied, by its ID.
    not_applicable : dict
        Of the others, the reason.
    """

    out: str
    report: str
    trust: list[str]
    headlines: list[str]
    studies: dict[str, Any] = field(repr=False)
    not_applicable: dict[str, str] = field(repr=False)
    investigation: dict[str, Any] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as ``investigation.json`` has it."""
        return self.investigation

    def study(self, name: str) -> StudyResult:
        """What one study found, without its page."""
        study = name.replace("_", "-")
        if study not in self.studies:
            reason = self.not_applicable.get(study)
            known = ", ".join(self.studies)
            raise ValueError(f"the study `{study}` does not apply: {reason}" if reason else f"there is no study `{study}`; there are {known}")
        split = (self.investigation.get("main_split") or ["", 0])[0]
        return StudyResult(study, study, split, self.studies[study], [], "")

    def to_pandas(self) -> pandas.DataFrame:
        """One row per model: name, parameters, weights."""
        models = self.investigation["models"]
        return data_frame([{"name": of["name"], "model": of["card"]["name"], **{k: of[k] for k in ("parameters", "weights")}} for of in models])

    def _repr_html_(self) -> str:
        def listed(lines: list[str]) -> str:
            return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"

        link = f'<p><a href="{html.escape(self.report)}" target="_blank">{html.escape(self.report)}</a></p>'
        return f"<h4>Can it be trusted?</h4>{listed(self.trust)}<h4>What was found</h4>{listed(self.headlines)}{link}"


def excavate(
    data: str | os.PathLike[str] | None = None,
    *,
    vit: str | os.PathLike[str] | None = None,
    cnn: str | os.PathLike[str] | None = None,
    models: Mapping[str, str | os.PathLike[str]] | None = None,
    train: Sequence[str] = (),
    out: str | os.PathLike[str] = "archaeo-out",
    config: str | os.PathLike[str] | None = None,
    set: Mapping[str, Any] | None = None,  # noqa: A002 - as on the command line
    quick: bool = False,
    strict: bool = False,
    title: str | None = None,
    seed: int | None = None,
) -> Excavation:
    """Investigates models: loads or trains them, asks every study, writes the report, as ``archaeo excavate`` does.

    Interrupted, it goes on where it stopped when it is called again with the same arguments.

    Parameters
    ----------
    data
        As in ``archaeo.data``; by default Sherds.
    vit, cnn, models
        Trained models: files, folders or names on the hub, under these names or those of ``models``. One in memory is written with
        ``Model.save`` first.
    train
        Models of the configuration to train; both, where nothing is given.
    out
        Folder for the results.
    config, set
        A configuration, and values to change in it: ``{"studies.attacks.images": 100}``.
    quick
        Small samples and short training, for a first look.
    """
    given = {"vit": vit, "cnn": cnn, **(models or {})}
    named = [(name, _file(name, path)) for name, path in given.items() if path is not None]
    changes = [f"{key}={json.dumps(value)}" for key, value in (set or {}).items()]
    found = _archaeo.excavate(
        None if data is None else os.fspath(data),
        named,
        list(train),
        os.fspath(out),
        None if config is None else os.fspath(config),
        changes,
        quick,
        strict,
        title,
        asked(seed),
    )
    investigation = found["investigation"]
    known = {study["id"] for study in _archaeo.known()["studies"]}
    studies = {key: value for key, value in investigation.items() if key in known}
    absent = investigation["not_applicable"]
    return Excavation(os.fspath(out), found["report"], found["trust"], found["headlines"], studies, absent, investigation)


def _file(name: str, path: Any) -> str:
    if hasattr(path, "save") and hasattr(path, "attention"):
        raise ValueError(
            f"an investigation keeps the hash of its weights, so that `{name}` must be a file: write it with .save('{name}.safetensors') and "
            "give that path"
        )
    return os.fspath(path)
