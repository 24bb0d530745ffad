"""A model, and what can be asked of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _archaeo
from ._images import classes_of, prepared
from ._results import Ablation, Attack, Explanation, Prediction, softmax
from ._settings import asked

if TYPE_CHECKING:
    from numpy.typing import NDArray

Place = tuple[int, int]


class Model:
    """A vision model in memory, made by ``Model.from_torch`` or ``Model.load``.

    Images may be floats from 0 to 1 of shape ``[n, 3, side, side]`` in the model's own size, which are taken as they are; bytes of
    shape ``[n, height, width, 3]``, pictures of Pillow, or paths, which are resized and cropped as the model's preprocessing says; and
    lists of these. Anything with DLPack or the buffer protocol is taken without a copy.
    Normalisation happens inside, so that what is asked about pixels is in units of pixels.
    """

    def __init__(self, native: _archaeo.Model) -> None:
        self._native = native
        self._about: dict[str, Any] = native.about()

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        model: str | None = None,
        classes: Sequence[str] | None = None,
        heads: int | None = None,
        prompts: str | None = None,
        class_names: str | os.PathLike[str] | None = None,
        entry: str | None = None,
        specification: dict[str, Any] | None = None,
        allow_missing: Sequence[str] = (),
        replace_head: bool = False,
        **preprocessing: Any,
    ) -> Model:
        """The model of a checkpoint.

        Parameters
        ----------
        path
            Safetensors, PyTorch's ``.pth``, ``.pt``, ``.th`` or ``.bin`` (nothing in them is executed), ``.npz``, a folder with one of
            these, or ``hf:OWNER/NAME[@REVISION]``.
        model
            Its name, such as ``"resnet50"``, if the checkpoint does not tell.
        classes
            Names of its outputs, in their order; of CLIP with ``prompts``, the classes that they name.
        heads
            Number of attention heads, which no array shows.
        prompts, class_names
            Zero-shot classes of CLIP: a file of templates or the name of a published list; a file with the names to insert.
        entry, specification, allow_missing, replace_head
            Where in the file the model is, fields of its sizes, arrays that may be missing, whether another head is replaced.
        **preprocessing
            ``image_size``, ``crop``, ``fit``, ``interpolation``, ``mean``, ``std``: before what the checkpoint says.

        Raises
        ------
        OSError
            A file that cannot be read, or a name on the hub that cannot be reached.
        ValueError
            A checkpoint whose model is unknown, unsupported or incomplete, with what to say about it.
        """
        said = {
            "weights": os.fspath(path),
            "model": model,
            "prompts": prompts,
            "class_names": None if class_names is None else os.fspath(class_names),
            "entry": entry,
            "specification": _specification(specification, heads),
            "allow_missing": list(allow_missing),
            "replace_head": replace_head,
            **_preprocessing(preprocessing),
        }
        return cls(_archaeo.Model.load(json.dumps(said), _names(classes), asked()))

    @classmethod
    def from_torch(
        cls,
        module: Any,
        *,
        model: str | None = None,
        classes: Sequence[str] | None = None,
        heads: int | None = None,
        prompts: str | os.PathLike[str] | None = None,
        processor: Any = None,
        entry: str | None = None,
        specification: dict[str, Any] | None = None,
        **preprocessing: Any,
    ) -> Model:
        """The model of an object of timm, torchvision or ``transformers``, without a file.

        Arrays, and what no array shows (heads, epsilon, pooling, activation), are read from the object, and its architecture is
        recognised from its arrays; images are prepared as its ``pretrained_cfg`` says, or its ``processor``. The weights are copied once,
        so that the object may change later.

        Parameters
        ----------
        module : torch.nn.Module
            The object. Wrappers of ``torch.compile`` and ``DataParallel`` are looked through.
        processor
            The image processor of ``transformers``, for its sizes, crop and normalisation.
        prompts
            Of CLIP, whose classes are those of ``classes`` in these templates: a file of templates or the name of a published list.
        model, classes, heads, entry, specification, **preprocessing
            As in ``Model.load``; before what the object says.

        Raises
        ------
        ValueError
            An object of an architecture that is not supported, or with arrays that do not fit it; all of them are listed.
        """
        from ._torch import read

        found = read(module, processor)
        said = {
            "weights": found.called,
            "model": model,
            "prompts": None if prompts is None else os.fspath(prompts),
            "entry": entry,
            "specification": found.specification + _specification(specification, heads),
            **found.preprocessing,
            **_preprocessing(preprocessing),
        }
        config = None if found.config is None else json.dumps(found.config)
        return cls(_archaeo.Model.of_arrays(found.arrays, config, json.dumps(said), _names(classes), asked()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model with its card as safetensors, which ``Model.load``, ``excavate`` and the command line read."""
        self._native.save(os.fspath(path), asked())

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._about["name"]

    @property
    def classes(self) -> list[str]:
        """Names of the outputs; none without a head."""
        return self._about["classes"]

    @property
    def image_size(self) -> int:
        """Side of the images that it takes, in pixels."""
        return self._about["image_size"]

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return self._about["parameters"]

    @property
    def heads(self) -> list[int]:
        """Number of attention heads of each layer; none of a model without attention."""
        return self._about["heads"]

    @property
    def info(self) -> dict[str, Any]:
        """Everything about the model but its weights: architecture, sizes, preprocessing and who said what of it."""
        return self._about

    def methods(self) -> list[str]:
        """IDs of the methods of explanation that apply to the model."""
        return self._native.methods()

    def prepare(self, images: Any) -> NDArray[np.float32]:
        """Images as the model takes them: ``[n, 3, image_size, image_size]``, from 0 to 1, not normalised."""
        return prepared(self._native, images)

    def __call__(self, images: Any) -> NDArray[np.float32]:
        """Logits, ``[n, classes]``.

        >>> model(images).argmax(axis=1)
        """
        return self._native.logits(self.prepare(images), asked())

    def predict(self, images: Any, top: int = 5) -> Prediction:
        """The ``top`` most probable classes of each image."""
        shares = softmax(self(images))
        order = np.argsort(-shares, axis=1, kind="stable")[:, :top]
        names = [[self.classes[place] for place in row] for row in order]
        return Prediction(order, names, np.take_along_axis(shares, order, axis=1))

    def features(self, images: Any) -> NDArray[np.float32]:
        """What the head reads, or would read, ``[n, width]``: tokens after the last norm, pooled, or the mean of the last feature map."""
        return self._native.features(self.prepare(images), asked())

    def attention(self, images: Any) -> NDArray[np.float32]:
        """Attention weights of every layer and head, ``[n, layers, heads, tokens, tokens]``.

        ``[..., q, k]`` is what query ``q`` gives to key ``k``; rows sum to 1. Prefix tokens (the class token first) come before the
        patches, which are in reading order. Of a model that attends within windows ask ``attention_by_layer``.

        Vaswani et al., 2017, equation 1 (https://arxiv.org/abs/1706.03762).
        """
        return self._native.attention(self.prepare(images), asked())

    def attention_by_layer(self, images: Any) -> list[NDArray[np.float32]]:
        """As ``attention``, one array per layer, ``[n, windows, heads, places, places]``: for windows, or layers that differ."""
        return [weights for weights, _, _ in self._native.attention_by_layer(self.prepare(images), asked())]

    def rollout(self, images: Any, fusion: str = "mean", discard: float = 0.0, start: int = 1) -> Explanation:
        """Attention rollout towards what the head reads.

        Parameters
        ----------
        fusion : "mean", "max" or "min"
            How the heads of a layer become one matrix.
        discard : float
            Share of each row's smallest weights that is set to zero, in [0, 1).
        start : int
            The first layer that counts, numbered from 1.

        Abnar and Zuidema, 2020, equation 1 (https://arxiv.org/abs/2005.00928).
        """
        return self._explained(images, "rollout", None, None, fusion=fusion, discard=discard, start=start)

    def explain(self, images: Any, method: str | None = None, target: Any = None, *, seed: int | None = None) -> Explanation:
        """A heatmap per image.

        Parameters
        ----------
        method : str
            ID of a method (``Model.methods``), such as ``"chefer"``, ``"grad-cam"``, ``"rollout"``, ``"integrated-gradients"``; by default
            the first that applies. ``archaeo.methods()`` lists all, and docs/methods describes each with its paper.
        target : int or array of int
            The class to explain, one for all or one per image; by default the model's answer.
        seed : int
            Key of the random numbers of methods that have some.
        """
        return self._explained(images, method or self.methods()[0], target, seed)

    def _explained(self, images: Any, method: str, target: Any, seed: int | None, **rollout: Any) -> Explanation:
        pixels = self.prepare(images)
        targets = None
        if target is not None:
            targets = classes_of(target, "targets")
            targets = targets * len(pixels) if len(targets) == 1 else targets
        found = self._native.explain(pixels, method, targets, asked(seed), **rollout)
        info, of = found["method"], found["targets"]
        paper = info["paper"]
        return Explanation(
            method=info["id"],
            title=info["title"],
            heatmaps=found["heatmaps"],
            targets=of,
            names=None if of is None else [self.classes[place] for place in of],
            probabilities=found["probabilities"],
            signed=info["signed"],
            source=None if paper is None else f"{paper['citation']}, {paper['url']}",
            unusual=found["unusual"],
            images=pixels,
        )

    def ablate(
        self,
        images: Any,
        heads: Iterable[Place] = (),
        *,
        attention: Iterable[int] = (),
        mlps: Iterable[int] = (),
        layers: Iterable[int] = (),
        blocks: Iterable[int] = (),
        by: str = "zero",
        reference: Any = None,
    ) -> Ablation:
        """Logits with parts of the model taken away, all at once, next to those with everything in place.

        Parameters
        ----------
        heads : pairs of int
            (layer, head), both numbered from 1, as in the findings of the study ``heads``.
        attention, mlps, layers : ints
            Layers, numbered from 1, of which the attention, the MLP or both are taken away.
        blocks : ints
            Blocks of a residual network, numbered from 1.
        by : "zero" or "mean"
            What stands in their place: zeros, or the part's mean over ``reference`` for each token position (Michel et al., 2019,
            https://arxiv.org/abs/1905.10650).
        reference : images
            By default ``images`` themselves.
        """
        parts: list[tuple[str, int, int | None]] = [("head", _place(layer), _place(head)) for layer, head in heads]
        for kind, numbers in (("attention", attention), ("mlp", mlps), ("layer", layers), ("block", blocks)):
            parts += [(kind, _place(number), None) for number in numbers]
        if by not in ("zero", "mean"):
            raise ValueError(f"parts are replaced by 'zero' or 'mean', not by {by!r}")
        pixels = self.prepare(images)
        means = None if by == "zero" else pixels if reference is None else self.prepare(reference)
        before, after = self._native.without(pixels, parts, means, asked())
        called = [f"{kind} {place + 1}" if head is None else f"head {head + 1} of layer {place + 1}" for kind, place, head in parts]
        return Ablation(called, by, before, after, self.classes)

    def attack(
        self,
        images: Any,
        labels: Any,
        attack: str = "apgd-t",
        norm: str | None = None,
        epsilon: float | None = None,
        *,
        targets: Any = None,
        steps: int | None = None,
        restarts: int | None = None,
        loss: str | None = None,
        seed: int | None = None,
    ) -> Attack:
        """Changes images as little as they need to be taken for something else.

        Parameters
        ----------
        labels : array of int, ``[n]``
            The outputs that are right, away from which the images are led.
        attack : str
            ID of an attack (``archaeo.attacks()``): ``"fgsm"``, ``"pgd"``, ``"apgd-t"``, ``"autoattack"``, ``"ddn"``, …
        norm : "linf", "l2", "l1" or "l0"
            By default the attack's first.
        epsilon : float
            Size of the change of values from 0 to 1, such as ``8 / 255``; in L0 the number of values. By default 8/255, 0.5, 12 or 64.
        targets : int or array of int
            The outputs that the images are to be taken for, of attacks that can lead to one.
        steps, restarts, loss, seed
            Where the attack has them.

        The change is within the ball after rounding to 8 bits. docs/attacks describes each attack with its paper.
        """
        pixels = self.prepare(images)
        right = classes_of(labels, "labels")
        toward = None
        if targets is not None:
            toward = classes_of(targets, "targets")
            toward = toward * len(pixels) if len(toward) == 1 else toward
        found = self._native.attack(
            pixels, right, toward, attack, asked(seed), norm=norm, epsilon=epsilon, steps=steps, restarts=restarts, loss=loss
        )
        return Attack(labels=np.asarray(right, dtype=np.int64), classes=self.classes, clean=pixels, **found)

    def __repr__(self) -> str:
        return f"<archaeo.Model {self.name}: {self._about['describe']}, {self.parameters / 1e6:.1f} M parameters>"


def _place(number: int) -> int:
    """The place in arrays of a layer, head or block."""
    if number < 1:
        raise ValueError(f"layers, heads and blocks are numbered from 1, and {number} is given")
    return int(number) - 1


def _names(classes: Sequence[str] | None) -> list[str] | None:
    return None if classes is None else [str(name) for name in classes]


def _specification(fields: dict[str, Any] | None, heads: int | None) -> list[tuple[str, str]]:
    fields = dict(fields or {})
    if heads is not None:
        fields["heads"] = heads
    return [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in fields.items()]


_KEYS = ("image_size", "crop", "fit", "interpolation", "mean", "std")


def _preprocessing(chosen: dict[str, Any]) -> dict[str, Any]:
    for key in chosen:
        if key not in _KEYS:
            raise TypeError(f"there is no argument {key!r}; preprocessing has {', '.join(_KEYS)}")
    return {key: list(value) if key in ("mean", "std") else value for key, value in chosen.items() if value is not None}
