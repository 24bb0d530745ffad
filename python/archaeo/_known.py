"""What there is to choose from."""

from __future__ import annotations

from typing import Any

from . import _archaeo


def studies() -> dict[str, str]:
    """The studies: what ``archaeo.study`` has, and what each asks."""
    return {study["id"]: study["question"].replace("{it}", "a model") for study in _archaeo.known()["studies"]}


def methods() -> list[str]:
    """IDs of the methods of explanation; ``Model.methods`` has those that apply to a model."""
    return _archaeo.known()["methods"]


def attacks() -> list[dict[str, Any]]:
    """The attacks: ID, title, norms, steps, losses, paper."""
    return _archaeo.known()["attacks"]
