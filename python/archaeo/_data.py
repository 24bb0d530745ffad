"""Data sets: classes, splits, images."""

from __future__ import annotations

import operator
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _archaeo
from ._results import Result, _figure, _more, _SHOWN, data_frame
from ._settings import asked

if TYPE_CHECKING:
    import pandas
    from numpy.typing import NDArray


def data(source: str | os.PathLike[str] = "sherds", *, strict: bool = False, check: bool = True) -> Data:
    """Opens a data set.

    Parameters
    ----------
    source
        ``"sherds"``, the built-in data set with known answers, with parameters such as ``"sherds:size=64,test=500"``; a path: class
        folders, images with a list, an archive of these, CIFAR's batches, idx files, Hugging Face image parquet, webdataset shards, MedMNIST
        ``.npz``; or an address of shards, such as ``"s3://bucket/train-{000..009}.tar"``.
    strict
        Whether a bad image is an error instead of being left out with a warning.
    check
        Whether every image is decoded once, to find the bad ones.

    Raises
    ------
    OSError, ValueError
        What cannot be read, or is no data set, with what to do.
    """
    return Data(_archaeo.open_data(os.fspath(source), strict, check, asked()))


class Data:
    """Labelled images in named splits. ``data["test"]`` is a split, ``data["test"][:16]`` are its first images."""

    def __init__(self, native: _archaeo.Data) -> None:
        self._native = native

    @property
    def name(self) -> str:
        """What the data are called."""
        return self._native.name

    @property
    def classes(self) -> list[str]:
        """Names of the classes; a label is an index into them. None without labels."""
        return self._native.classes

    @property
    def splits(self) -> dict[str, int]:
        """Names of the splits and their numbers of images."""
        return dict(self._native.splits)

    @property
    def evaluation_split(self) -> str:
        """The split that final numbers are measured on: ``test``, else ``val``, else ``all``."""
        return self._native.evaluation_split

    def __getitem__(self, split: str) -> Split:
        return Split(self, split)

    def __repr__(self) -> str:
        splits = ", ".join(f"{name} {count}" for name, count in self.splits.items())
        return f"<archaeo.Data {self.name}: {len(self.classes)} classes; {splits}>"


class Split:
    """The images of a split. An index, a slice or a list of indices gives ``Samples``."""

    def __init__(self, data: Data, name: str) -> None:
        self.data, self.name = data, name
        #: Label of each image, ``[n]``; None where images have none.
        self.labels: NDArray[np.int64] | None = data._native.labels(name)
        #: Name of each image in its source.
        self.names: list[str] = data._native.names(name)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def images(self) -> list[NDArray[np.uint8]]:
        """All of them, decoded, so that a whole split can be given to a model."""
        return self[:].images

    def __getitem__(self, index: Any) -> Samples:
        if isinstance(index, slice):
            places = list(range(len(self))[index])
        else:
            given = np.atleast_1d(np.asarray(index))
            given = np.flatnonzero(given) if given.dtype == bool else given
            places = [operator.index(place) for place in given]
            places = [place + len(self) if place < 0 else place for place in places]
            if any(not 0 <= place < len(self) for place in places):
                raise IndexError(f"{self.name} of {self.data.name} has {len(self)} images")
        labels = None if self.labels is None else self.labels[places]
        images = self.data._native.images(self.name, places)
        return Samples(images, labels, [self.names[place] for place in places], self.data.classes, self, places)

    def sample(self, count: int, seed: int = 0) -> Samples:
        """``count`` different images, drawn at random by ``seed``, in the order of the split."""
        drawn = np.random.default_rng(seed).choice(len(self), size=min(count, len(self)), replace=False)
        return self[np.sort(drawn)]

    def __repr__(self) -> str:
        return f"<archaeo.Split {self.name} of {self.data.name}: {len(self)} images>"


@dataclass
class Samples(Result):
    """Images in memory, which every method of ``Model`` takes.

    Attributes
    ----------
    images : list of ndarray of uint8, ``[height, width, 3]``
    labels : ndarray of int64, ``[n]``, or None
    names : list of str
        Name of each image in its source.
    classes : list of str
        What the labels are called.
    """

    images: list[NDArray[np.uint8]] = field(repr=False)
    labels: NDArray[np.int64] | None
    names: list[str]
    classes: list[str] = field(repr=False)
    _split: Split = field(repr=False)
    _places: list[int] = field(repr=False)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Samples:
        """Some of them: an index, a slice or a list of indices."""
        return self._split[np.atleast_1d(np.asarray(self._places)[index])]

    def masks(self) -> list[NDArray[np.bool_] | None]:
        """Where the object is in each image, ``[height, width]``; None where the data do not say it."""
        native = self._split.data._native
        return [native.mask(self._split.name, place) for place in self._places]

    def to_pandas(self) -> pandas.DataFrame:
        """One row per image."""
        columns: dict[str, Any] = {"image": self.names}
        if self.labels is not None:
            columns |= {"label": self.labels, "class": [self.classes[label] for label in self.labels]}
        return data_frame(columns)

    def _repr_html_(self) -> str:
        names = self.names if self.labels is None else [self.classes[label] for label in self.labels]
        shown = zip(self.images[:_SHOWN], names, strict=False)
        return "".join(_figure(_archaeo.png(image), name, 112) for image, name in shown) + _more(len(self))
