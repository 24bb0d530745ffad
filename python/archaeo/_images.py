"""What may be an image, and how it becomes what a model takes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _archaeo

if TYPE_CHECKING:
    from numpy.typing import NDArray


def as_array(value: Any) -> NDArray[Any]:
    """The array of anything with DLPack or the buffer protocol, without a copy where it is on the CPU.

    A tensor of PyTorch that has a graph is taken without it, and one of bfloat16, which NumPy does not have, is widened.
    """
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach"):
        value = value.detach()
        if str(value.device) != "cpu":
            raise ValueError(f"the tensor is on {value.device}; move it to the CPU first, with .cpu()")
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
    if hasattr(value, "__dlpack__"):
        return np.from_dlpack(value)
    return np.asarray(value)


def prepared(model: _archaeo.Model, images: Any) -> NDArray[np.float32]:
    """Images as ``model`` takes them: float32, ``[n, 3, side, side]``, with values from 0 to 1.

    Floats are taken as they are; bytes, pictures of Pillow and files are resized and cropped.
    """
    found = _collected(images)
    if isinstance(found, np.ndarray):
        return found
    if not found:
        raise ValueError("there is no image to ask about; give at least one")
    return model.prepared(found)


def _collected(images: Any) -> NDArray[np.float32] | list[NDArray[np.uint8]]:
    """A batch of floats, or pictures of bytes."""
    if hasattr(images, "images") and not hasattr(images, "__array__"):  # Samples, or a split of a data set
        images = images.images
    if _is_picture(images):
        return [_picture(images)]
    if isinstance(images, Sequence) and not isinstance(images, (bytes, bytearray, memoryview)):
        return _several(images)
    array = as_array(images)
    if array.dtype == np.uint8:
        return _bytes(array)
    return _floats(array)


def _several(images: Sequence[Any]) -> NDArray[np.float32] | list[NDArray[np.uint8]]:
    each = [_collected(image) for image in images]
    floats = [part for part in each if isinstance(part, np.ndarray)]
    if not floats:
        return [picture for part in each if isinstance(part, list) for picture in part]
    if len(floats) < len(each):
        raise ValueError("images are either all floats or all pictures of bytes, not both; call the model with each kind")
    if len({part.shape[1:] for part in floats}) > 1:
        raise ValueError("images of floats must all have the same shape, [3, side, side]")
    return np.concatenate(floats)


def _is_picture(image: Any) -> bool:
    return isinstance(image, (str, os.PathLike)) or (hasattr(image, "convert") and hasattr(image, "tobytes"))


def _picture(image: Any) -> NDArray[np.uint8]:
    """A file, or a picture of Pillow, as bytes."""
    if isinstance(image, (str, os.PathLike)):
        return _archaeo.read_picture(os.fspath(image))
    return np.ascontiguousarray(np.asarray(image.convert("RGB"), dtype=np.uint8))


def _bytes(array: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    if array.ndim == 2:
        raise ValueError(f"a grey picture of shape {list(array.shape)} needs three channels; use numpy.stack([picture] * 3, axis=-1)")
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[-1] != 3:
        hint = ""
        if array.ndim == 4 and array.shape[1] == 3:
            hint = "; bring the channels last with .transpose(0, 2, 3, 1), or divide by 255 for floats, whose channels come first"
        raise ValueError(f"images of bytes have the shape [n, height, width, 3], not {list(array.shape)}{hint}")
    return [np.ascontiguousarray(picture) for picture in array]


def _floats(array: NDArray[Any]) -> NDArray[np.float32]:
    if array.dtype.kind != "f":
        raise ValueError(f"images are uint8 from 0 to 255 or floats from 0 to 1, not {array.dtype}")
    if array.ndim == 3:
        array = array[None]
    if array.ndim == 4 and array.shape[1] != 3 and array.shape[-1] == 3:
        raise ValueError(
            f"images of floats have the shape [n, 3, height, width], not {list(array.shape)}; bring the channels first with "
            ".transpose(0, 3, 1, 2)"
        )
    return np.ascontiguousarray(array, dtype=np.float32)


def bytes_of(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """An image of floats, ``[3, side, side]``, as a picture of bytes, ``[side, side, 3]``."""
    return np.ascontiguousarray(np.rint(255 * image.clip(0, 1)).astype(np.uint8).transpose(1, 2, 0))


def classes_of(values: Any, what: str) -> list[int]:
    """Classes, one per image, as whole numbers."""
    array = np.atleast_1d(as_array(values) if not isinstance(values, int) else np.asarray(values))
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ValueError(f"{what} must be whole numbers, one per image, not an array of {array.dtype} and shape {list(array.shape)}")
    if (array < 0).any():
        raise ValueError(f"{what} are numbered from 0, and {int(array.min())} is given")
    return array.tolist()
