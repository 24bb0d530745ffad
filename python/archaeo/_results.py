"""What questions are answered with."""

from __future__ import annotations

import base64
import dataclasses
import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _archaeo
from ._images import bytes_of

if TYPE_CHECKING:
    import pandas
    from numpy.typing import NDArray

#: Images that a notebook shows of a result.
_SHOWN = 8


def _plain(value: Any) -> Any:
    """Numbers, texts, lists and dictionaries alone."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value


def data_frame(columns: Any) -> pandas.DataFrame:
    """A data frame, where pandas is there."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_pandas needs pandas; install it with `pip install pandas`, or use to_dict") from error
    return pandas.DataFrame(columns)


class Result:
    """An answer as plain data."""

    def to_dict(self) -> dict[str, Any]:
        """The answer as numbers, texts, lists and dictionaries, which ``json.dumps`` takes; without the images."""
        own = dataclasses.fields(self)  # type: ignore[arg-type]
        return {of.name: _plain(getattr(self, of.name)) for of in own if of.repr}


def _figure(png: bytes, caption: str, side: int = 160) -> str:
    data = base64.b64encode(png).decode()
    return (
        f'<figure style="display:inline-block;margin:4px;width:{side}px;vertical-align:top">'
        f'<img src="data:image/png;base64,{data}" alt="{html.escape(caption)}" style="width:{side}px;image-rendering:auto">'
        f'<figcaption style="font-size:smaller;text-align:center">{html.escape(caption)}</figcaption></figure>'
    )


def _more(count: int) -> str:
    return f"<p>… and {count - _SHOWN} more</p>" if count > _SHOWN else ""


@dataclass
class Prediction(Result):
    """The most probable classes of each image.

    Attributes
    ----------
    classes : ndarray of int64, ``[n, top]``
        Numbers of the outputs, that of the largest probability first.
    names : list of list of str
        What they are called.
    probabilities : ndarray of float64, ``[n, top]``
        Softmax of the logits.
    """

    classes: NDArray[np.int64]
    names: list[list[str]]
    probabilities: NDArray[np.float64]

    def to_pandas(self) -> pandas.DataFrame:
        """One row per image and class."""
        n, top = self.classes.shape
        return data_frame(
            {
                "image": np.repeat(np.arange(n), top),
                "rank": np.tile(np.arange(top), n),
                "class": self.classes.ravel(),
                "name": [name for names in self.names for name in names],
                "probability": self.probabilities.ravel(),
            }
        )

    def _repr_html_(self) -> str:
        rows = zip(self.names, self.probabilities, strict=True)
        cells = (
            "".join(f"<td>{html.escape(name)}</td><td>{100 * share:.1f} %</td>" for name, share in zip(*row, strict=True))
            for row in rows
        )
        return "<table>" + "".join(f"<tr><th>{i}</th>{row}</tr>" for i, row in enumerate(cells)) + "</table>"


@dataclass
class Explanation(Result):
    """One heatmap per image, larger where the method sees more relevance; the scale is the method's own.

    Attributes
    ----------
    method, title : str
        ID of the method, and what it is called.
    heatmaps : ndarray of float32, ``[n, rows, columns]``
        On the grid of the method: patches, cells of the last feature map, or pixels.
    targets : ndarray of int64, ``[n]``, or None
        The class that each explains.
    names : list of str, or None
        What these classes are called.
    probabilities : ndarray of float64, ``[n]``, or None
        What the model gives them.
    signed : bool
        Whether values below zero speak against the class.
    source : str, or None
        The paper.
    unusual : str, or None
        What of a rollout is not as in the paper.
    """

    method: str
    title: str
    heatmaps: NDArray[np.float32]
    targets: NDArray[np.int64] | None
    names: list[str] | None
    probabilities: NDArray[np.float64] | None
    signed: bool
    source: str | None
    unusual: str | None
    images: NDArray[np.float32] = field(repr=False)

    def __len__(self) -> int:
        return len(self.heatmaps)

    def overlay(self, image: int = 0) -> bytes:
        """The PNG of one heatmap over its image."""
        return _archaeo.overlay(bytes_of(self.images[image]), np.ascontiguousarray(self.heatmaps[image]), self.signed)

    def to_pandas(self) -> pandas.DataFrame:
        """One row per image: the class that is explained, and the range of the heatmap."""
        n = len(self)
        columns: dict[str, Any] = {"image": np.arange(n), "method": self.method}
        if self.targets is not None:
            columns |= {"target": self.targets, "name": self.names, "probability": self.probabilities}
        flat = self.heatmaps.reshape(n, -1)
        return data_frame(columns | {"lowest": flat.min(axis=1), "highest": flat.max(axis=1)})

    def _caption(self, image: int) -> str:
        if self.names is None or self.probabilities is None:
            return self.title
        return f"{self.title}: {self.names[image]} ({100 * self.probabilities[image]:.1f} %)"

    def _repr_html_(self) -> str:
        shown = range(min(len(self), _SHOWN))
        note = f"<p>{html.escape(self.unusual)}</p>" if self.unusual else ""
        return "".join(_figure(self.overlay(i), self._caption(i)) for i in shown) + _more(len(self)) + note


@dataclass
class Ablation(Result):
    """Answers with everything in place, and with parts of the model taken away.

    Attributes
    ----------
    parts : list of str
        What was taken away, numbered from 1.
    by : str
        What stands in its place: ``"zero"`` or ``"mean"``.
    before, after : ndarray of float32, ``[n, classes]``
        Logits with everything in place, and without the parts.
    classes : list of str
        Names of the outputs.
    """

    parts: list[str]
    by: str
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    classes: list[str]

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Whether each image's answer is another one, ``[n]``."""
        return self.before.argmax(axis=1) != self.after.argmax(axis=1)

    def to_pandas(self) -> pandas.DataFrame:
        """One row per image: the answer before and after, and the probability of the answer before."""
        rows = np.arange(len(self.before))
        answer, other = self.before.argmax(axis=1), self.after.argmax(axis=1)
        return data_frame(
            {
                "image": rows,
                "before": [self.classes[place] for place in answer],
                "after": [self.classes[place] for place in other],
                "probability_before": softmax(self.before)[rows, answer],
                "probability_after": softmax(self.after)[rows, answer],
            }
        )

    def _repr_html_(self) -> str:
        lost = int(self.changed.sum())
        head = f"Without {', '.join(self.parts)} ({self.by}), {lost} of {len(self.before)} answers change."
        before, after = softmax(self.before), softmax(self.after)
        rows = []
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            if i == _SHOWN:
                break
            a, b = int(old.argmax()), int(new.argmax())
            cells = f"<td>{html.escape(self.classes[a])} ({100 * old[a]:.1f} %)</td>"
            rows.append(f"<tr><th>{i}</th>{cells}<td>{html.escape(self.classes[b])} ({100 * new[b]:.1f} %)</td></tr>")
        table = "<table><tr><th></th><th>before</th><th>after</th></tr>" + "".join(rows) + "</table>"
        return f"<p>{html.escape(head)}</p>{table}{_more(len(before))}"


@dataclass
class Attack(Result):
    """Adversarial images, rounded to 8 bits, and what became of each.

    Attributes
    ----------
    title, settings : str
        The attack, and its settings in words.
    norm : str
        ``"linf"``, ``"l2"``, ``"l1"`` or ``"l0"``.
    epsilon : float or None
        Size of the perturbation of values from 0 to 1; None of an attack that looks for the smallest one.
    labels, clean_answers, answers : ndarray of int64, ``[n]``
        The true classes, the answers without an attack, and those under it.
    success : ndarray of bool, ``[n]``
        Whether the answer is where it was to go.
    linf, l2, l1, l0 : ndarray, ``[n]``
        Lengths of the change of values from 0 to 1.
    distance : ndarray of float64, ``[n]``
        Of an attack that looks for the smallest perturbation its length in ``norm``, NaN where it found none.
    queries, steps : ndarray of int64, ``[n]``
        How often the model was asked, and after how many steps the image was met.
    zero_gradient : ndarray of bool, ``[n]``
        Whether the gradient was 0 everywhere at the start, so that robustness may be an illusion.
    logits : ndarray of float32, ``[n, classes]``
        Of the adversarial images.
    images : ndarray of float32, ``[n, 3, side, side]``
        The adversarial images.
    """

    title: str
    settings: str
    norm: str
    epsilon: float | None
    labels: NDArray[np.int64]
    clean_answers: NDArray[np.int64]
    answers: NDArray[np.int64]
    success: NDArray[np.bool_]
    linf: NDArray[np.float64]
    l2: NDArray[np.float64]
    l1: NDArray[np.float64]
    l0: NDArray[np.int64]
    distance: NDArray[np.float64]
    queries: NDArray[np.int64]
    steps: NDArray[np.int64]
    zero_gradient: NDArray[np.bool_]
    logits: NDArray[np.float32]
    classes: list[str] = field(repr=False)
    images: NDArray[np.float32] = field(repr=False)
    clean: NDArray[np.float32] = field(repr=False)

    @property
    def clean_accuracy(self) -> float:
        """Share of images that are right without an attack."""
        return float((self.clean_answers == self.labels).mean())

    @property
    def robust_accuracy(self) -> float:
        """Share of images that are right both before and under the attack."""
        return float(((self.clean_answers == self.labels) & (self.answers == self.labels)).mean())

    def to_pandas(self) -> pandas.DataFrame:
        """One row per image."""
        names = ["labels", "clean_answers", "answers", "success", "linf", "l2", "l1", "l0", "distance", "queries", "steps"]
        return data_frame({"image": np.arange(len(self.labels))} | {name: getattr(self, name) for name in names})

    def _repr_html_(self) -> str:
        text = (
            f"{self.settings}: {100 * self.clean_accuracy:.1f} % right without an attack, {100 * self.robust_accuracy:.1f} % under it. "
            "Each image is followed by the adversarial one and by ten times the change."
        )
        rows = []
        for i in range(min(len(self.labels), _SHOWN // 2)):
            change = 0.5 + 10 * (self.images[i] - self.clean[i])
            shown = [
                (self.clean[i], self.classes[self.clean_answers[i]]),
                (self.images[i], self.classes[self.answers[i]]),
                (change, f"L∞ {255 * self.linf[i]:.1f}/255"),
            ]
            figures = (_figure(_archaeo.png(bytes_of(picture)), caption, 128) for picture, caption in shown)
            rows.append("<div>" + "".join(figures) + "</div>")
        return f"<p>{html.escape(text)}</p>" + "".join(rows)


@dataclass
class StudyResult(Result):
    """What a study found.

    Attributes
    ----------
    study, title : str
        ID of the study, and the title of its chapter.
    split : str
        The images that were asked about.
    findings : dict
        As ``findings/ID.json`` of an investigation has them; estimates carry their intervals.
    claims : list of str
        What the findings allow to be said.
    page : str
        The study's chapter of the report as a page of its own.
    """

    study: str
    title: str
    split: str
    findings: dict[str, Any]
    claims: list[str]
    page: str = field(repr=False)

    def tables(self) -> dict[str, pandas.DataFrame]:
        """Every list of records in the findings as a data frame, by its path."""
        found: dict[str, pandas.DataFrame] = {}
        _gather(self.findings, "", found)
        return found

    def to_pandas(self, table: str | None = None) -> pandas.DataFrame:
        """One of ``tables()``, by default the longest."""
        tables = self.tables()
        if not tables:
            return data_frame([_flat(self.findings)])
        if table is None:
            return max(tables.values(), key=len)
        if table not in tables:
            raise ValueError(f"there is no table {table!r}; there are {', '.join(tables)}")
        return tables[table]

    def _repr_html_(self) -> str:
        return page_in_frame(self.page)


def page_in_frame(page: str) -> str:
    """A whole page within a notebook's cell, with styles and scripts of its own."""
    return f'<iframe srcdoc="{html.escape(page, quote=True)}" style="width:100%;height:640px;border:1px solid #ccc"></iframe>'


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A record without records in it: their keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _gather(value: Any, path: str, found: dict[str, pandas.DataFrame]) -> None:
    if isinstance(value, dict):
        for key, entry in value.items():
            _gather(entry, f"{path}.{key}" if path else key, found)
    elif isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        found[path] = data_frame([_flat(entry) for entry in value])


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities of rows of logits."""
    shares = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
