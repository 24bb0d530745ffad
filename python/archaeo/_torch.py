"""What a model of timm, torchvision or transformers says of itself. PyTorch is not imported here: the object brings its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Classes whose sizes have an epsilon and, but for BEiT's, a pooling and an activation.
_TRANSFORMERS = ("VisionTransformer", "VisionTransformerDistilled", "Beit")

#: Classes whose heads are read from their arrays, stage by stage.
_STAGED = ("swin", "efficientvit", "resnet")

#: Poolings of timm that a model here may have.
_POOLINGS = ("token", "avg")

#: What torchvision's first weights of residual networks were evaluated with; an object of it does not say.
_TORCHVISION = {"image_size": 224, "crop": 0.875, "interpolation": "bilinear"}


@dataclass
class Read:
    """An object's arrays, and what no array shows."""

    called: str
    arrays: dict[str, NDArray[np.float32]]
    config: dict[str, Any] | None = None
    specification: list[tuple[str, str]] = field(default_factory=list)
    preprocessing: dict[str, Any] = field(default_factory=dict)


def read(module: Any, processor: Any = None) -> Read:
    """Reads a module."""
    module = _unwrapped(module)
    if not hasattr(module, "state_dict") or not hasattr(module, "modules"):
        raise ValueError(f"a torch.nn.Module is needed, not {type(module).__name__}; give Model.load the path of a checkpoint")
    arrays = _arrays(module)
    config = getattr(module, "config", None)
    if hasattr(config, "model_type"):
        return _of_transformers(module, config, processor, arrays)
    found = Read(type(module).__name__, arrays)
    published = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None)
    if published:
        published = published if isinstance(published, dict) else vars(published)
        found.called = str(published.get("architecture") or found.called)
        found.preprocessing = _of_timm(module, published)
    elif type(module).__module__.startswith("torchvision.") and "resnet" in type(module).__name__.lower():
        found.preprocessing = dict(_TORCHVISION)
    found.specification = _unseen(module)
    return found


def _unwrapped(module: Any) -> Any:
    """The module within ``torch.compile`` and ``DataParallel``."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if inner is None and type(module).__name__ in ("DataParallel", "DistributedDataParallel", "FullyShardedDataParallel"):
            inner = module.module
        if inner is None:
            return module
        module = inner


def _arrays(module: Any) -> dict[str, NDArray[np.float32]]:
    """Every array of floats, as views of the module's memory where it holds 32-bit floats on the CPU."""
    arrays = {}
    for name, tensor in module.state_dict().items():
        if not hasattr(tensor, "is_floating_point") or not tensor.is_floating_point():
            continue
        if tensor.is_meta:
            raise ValueError(f"the weights of {type(module).__name__} are not loaded (`{name}` has no values); load them first")
        try:
            arrays[name] = tensor.detach().cpu().float().contiguous().numpy()
        except (TypeError, RuntimeError) as error:
            raise ValueError(
                f"`{name}` of {type(module).__name__} is {tensor.dtype} in a layout without plain values ({error}); give a model of plain "
                "16-, 32- or 64-bit floats"
            ) from error
    return arrays


def _of_transformers(module: Any, config: Any, processor: Any, arrays: dict[str, NDArray[np.float32]]) -> Read:
    described = dict(config.to_dict())
    described["architectures"] = [type(module).__name__]
    if processor is not None:
        described["preprocessor"] = processor.to_dict()
    name = described.get("_name_or_path") or getattr(config, "name_or_path", "") or type(module).__name__
    return Read(str(name), arrays, config=_plain(described))


def _plain(value: Any) -> Any:
    """What JSON can hold; of other values their names."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _of_timm(module: Any, published: dict[str, Any]) -> dict[str, Any]:
    """The preprocessing of timm's ``pretrained_cfg``. A model that is built for one size says that itself."""
    said = {
        "crop": published.get("crop_pct"),
        "fit": {"center": "crop", "squash": "squash"}.get(published.get("crop_mode") or ""),
        "interpolation": published.get("interpolation"),
        "mean": published.get("mean"),
        "std": published.get("std"),
    }
    built_for_one = hasattr(module, "patch_embed")
    if published.get("input_size") and not built_for_one:
        said["image_size"] = published["input_size"][-1]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in said.items() if value is not None}


def _unseen(module: Any) -> list[tuple[str, str]]:
    """Fields of the model's sizes that no array shows."""
    name = type(module).__name__.lower()
    if any(staged in name for staged in _STAGED):
        return []
    said: list[tuple[str, str]] = []
    heads = {own.num_heads for own in module.modules() if isinstance(getattr(own, "num_heads", None), int)}
    if len(heads) == 1:
        said.append(("heads", str(heads.pop())))
    kinds = [kind.__name__ for kind in type(module).__mro__ if kind.__name__ in _TRANSFORMERS]
    if not kinds:
        return said
    epsilons = {own.eps for own in module.modules() if type(own).__name__.endswith("LayerNorm") and hasattr(own, "eps")}
    if len(epsilons) > 1:
        raise ValueError(f"the layer norms of {type(module).__name__} have several epsilons ({sorted(epsilons)}); models here have one")
    said += [("epsilon", repr(float(epsilon))) for epsilon in epsilons]
    if kinds[0] != "Beit":
        said += _activation(module) + _pooling(module)
    return said


def _activation(module: Any) -> list[tuple[str, str]]:
    for own in module.modules():
        act = getattr(own, "act", None)
        if hasattr(own, "fc1") and hasattr(own, "fc2") and act is not None:
            kind = type(act).__name__
            if kind == "GELU" and getattr(act, "approximate", "none") == "none":
                return [("feed_forward", "gelu")]
            if kind == "QuickGELU":
                return [("feed_forward", "quick-gelu")]
            raise ValueError(f"the MLPs of {type(module).__name__} have the activation {act}; models here have GELU or QuickGELU")
    return []


def _pooling(module: Any) -> list[tuple[str, str]]:
    pool = getattr(module, "global_pool", None)
    if pool is None:
        return []
    if pool not in _POOLINGS:
        raise ValueError(f"{type(module).__name__} pools by {pool!r}; models here read the class token ('token') or the mean ('avg')")
    normed = any(True for _ in module.fc_norm.parameters()) if hasattr(module, "fc_norm") else False
    if getattr(module, "cls_token", None) is None:
        return []
    if pool == "avg" and not normed:
        return [("pooling", "mean")]
    return [("pooling", "class-token")] if pool == "token" and normed else []
