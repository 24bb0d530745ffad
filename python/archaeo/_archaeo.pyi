"""The native module: the lab, asked from Python. Use the package ``archaeo``, which says what may be an image and shows results."""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ._settings import Asked

__version__: str

@final
class Model:
    @staticmethod
    def load(said: str, classes: list[str] | None, asked: Asked) -> Model: ...
    @staticmethod
    def of_arrays(
        arrays: dict[str, NDArray[np.float32]], config: str | None, said: str, classes: list[str] | None, asked: Asked
    ) -> Model: ...
    def about(self) -> dict[str, Any]: ...
    def prepared(self, pictures: list[NDArray[np.uint8]]) -> NDArray[np.float32]: ...
    def logits(self, images: NDArray[np.float32], asked: Asked) -> NDArray[np.float32]: ...
    def features(self, images: NDArray[np.float32], asked: Asked) -> NDArray[np.float32]: ...
    def attention(self, images: NDArray[np.float32], asked: Asked) -> NDArray[np.float32]: ...
    def attention_by_layer(
        self, images: NDArray[np.float32], asked: Asked
    ) -> list[tuple[NDArray[np.float32], list[int], int]]: ...
    def explain(
        self,
        images: NDArray[np.float32],
        method: str,
        targets: list[int] | None,
        asked: Asked,
        *,
        fusion: str = "mean",
        discard: float = 0.0,
        start: int = 1,
    ) -> dict[str, Any]: ...
    def without(
        self,
        images: NDArray[np.float32],
        parts_off: list[tuple[str, int, int | None]],
        reference: NDArray[np.float32] | None,
        asked: Asked,
    ) -> list[NDArray[np.float32]]: ...
    def attack(
        self,
        images: NDArray[np.float32],
        labels: list[int],
        targets: list[int] | None,
        attack: str,
        asked: Asked,
        *,
        norm: str | None = None,
        epsilon: float | None = None,
        steps: int | None = None,
        restarts: int | None = None,
        loss: str | None = None,
    ) -> dict[str, Any]: ...
    def methods(self) -> list[str]: ...
    def save(self, file: str, asked: Asked) -> None: ...

@final
class Data:
    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> list[str]: ...
    @property
    def splits(self) -> list[tuple[str, int]]: ...
    @property
    def evaluation_split(self) -> str: ...
    def labels(self, split: str) -> NDArray[np.int64] | None: ...
    def names(self, split: str) -> list[str]: ...
    def images(self, split: str, indices: list[int]) -> list[NDArray[np.uint8]]: ...
    def mask(self, split: str, index: int) -> NDArray[np.bool_] | None: ...

def open_data(source: str, strict: bool, check: bool, asked: Asked) -> Data: ...
def read_picture(file: str) -> NDArray[np.uint8]: ...
def overlay(picture: NDArray[np.uint8], heatmap: NDArray[np.float32], signed: bool) -> bytes: ...
def png(picture: NDArray[np.uint8]) -> bytes: ...
def study(
    id: str,
    models: list[tuple[str, Model]],
    data: Data,
    set: list[str],
    quick: bool,
    split: str | None,
    limit: int | None,
    folder: str,
    asked: Asked,
) -> dict[str, Any]: ...
def known() -> dict[str, Any]: ...
def excavate(
    data: str | None,
    models: list[tuple[str, str]],
    train: list[str],
    out: str,
    config: str | None,
    set: list[str],
    quick: bool,
    strict: bool,
    title: str | None,
    asked: Asked,
) -> Any: ...
def run(words: list[str]) -> int: ...
