"""Models that stand in for those of timm where that is not installed: the same class names, attributes and arrays."""

from __future__ import annotations

import json
import pathlib
import unittest
from typing import Any

import numpy as np

FIXTURES = pathlib.Path(__file__).parent / "fixtures"

_ARRAYS = dict(np.load(FIXTURES / "timm.npz"))
_SAID = json.loads((FIXTURES / "timm.json").read_text())


class Tensor:
    """What is used of a tensor of PyTorch."""

    is_meta = False
    device = "cpu"
    dtype = "torch.float32"

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def is_floating_point(self) -> bool:
        return self.array.dtype.kind == "f"

    def detach(self) -> Tensor:
        return self

    cpu = float = contiguous = detach

    def numpy(self) -> np.ndarray:
        return self.array

    def __dlpack__(self, **how: Any) -> Any:
        return self.array.__dlpack__(**how)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


class LayerNorm:
    def __init__(self, eps: float) -> None:
        self.eps = eps


class GELU:
    approximate = "none"


class Mlp:
    fc1 = fc2 = object()
    act: Any = GELU()


class Attention:
    def __init__(self, num_heads: int) -> None:
        self.num_heads = num_heads


class VisionTransformer:
    """A model of timm as its object shows it."""

    patch_embed = object()

    def __init__(self, name: str) -> None:
        said = _SAID[name]
        self.pretrained_cfg, self.global_pool = said["pretrained_cfg"], said["global_pool"]
        prefix = f"{name}/state/"
        self.state = {key[len(prefix) :]: value for key, value in _ARRAYS.items() if key.startswith(prefix)}
        self.cls_token = self.state.get("cls_token")
        self.parts = [self, Attention(said["num_heads"]), LayerNorm(said["eps"]), Mlp()]

    def state_dict(self) -> dict[str, Tensor]:
        return {key: Tensor(value) for key, value in self.state.items()}

    def modules(self) -> list[Any]:
        return self.parts


def expected(name: str, what: str) -> np.ndarray:
    """What timm answers."""
    return _ARRAYS[f"{name}/{what}"]


def normalised(model: Any, images: Any) -> Any:
    """Images in [0, 1] as a library's own model takes them."""
    mean, std = (images.new_tensor(model.info["preprocessing"][key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    return (images - mean) / std


def close(test: unittest.TestCase, found: np.ndarray, true: Any) -> None:
    """Asserts that an array is a tensor's within 1e-4 of its largest value, or of 1."""
    true = true.detach().numpy()
    test.assertEqual(found.shape, true.shape)
    test.assertLessEqual(np.abs(found - true).max(), 1e-4 * max(1.0, np.abs(true).max()))
