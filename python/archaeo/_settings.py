"""What holds for every question: device, precision, seed, threads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ._follow import Follower


@dataclass(frozen=True)
class Asked:
    """What a question brings along to the lab."""

    device: str = "cpu"
    precision: str | None = None
    seed: int | None = None
    threads: int | None = None
    memory: int | None = None
    offline: bool = False
    follower: Follower = Follower(False)


_settings = Asked()
_progress: bool | None = None


def configure(
    *,
    device: str | None = None,
    precision: str | None = None,
    seed: int | None = None,
    threads: int | None = None,
    memory: int | None = None,
    offline: bool | None = None,
    progress: bool | None = None,
) -> None:
    """Chooses what holds for every later question; what is not given stays as it is.

    Parameters
    ----------
    device : str
        Where to compute: ``"cpu"``, or what the package was built with.
    precision : str
        ``"f32"`` or ``"bf16"``: what the operands of matrix products and convolutions are rounded to.
    seed : int
        Key of every random choice; 0 where nothing is chosen.
    threads : int
        Threads of the whole process; the first number that computes stays.
    memory : int
        Bytes that what is read may take.
    offline : bool
        Whether no network is used.
    progress : bool
        Whether progress is shown with tqdm, where that is installed. By default it is for work that takes a while.
    """
    global _settings, _progress
    chosen: dict[str, Any] = {
        "device": device,
        "precision": precision,
        "seed": seed,
        "threads": threads,
        "memory": memory,
        "offline": offline,
    }
    _settings = replace(_settings, **{key: value for key, value in chosen.items() if value is not None})
    if progress is not None:
        _progress = progress


def asked(seed: int | None = None) -> Asked:
    """The settings in force, for one question."""
    own = _settings if seed is None else replace(_settings, seed=seed)
    return replace(own, follower=Follower(_progress is not False))
