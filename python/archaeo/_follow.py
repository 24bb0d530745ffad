"""Shows how far work has come, and passes on what the lab says."""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any

_LOG = logging.getLogger("archaeo")

#: Work that takes less, in seconds, is not worth a bar.
_UNSEEN = 1.0


class Follower:
    """Hears of one question: a tqdm bar for its progress, the logger ``archaeo`` for notes, warnings for warnings."""

    def __init__(self, shows: bool) -> None:
        self._shows = shows
        self._bar: Any = None
        self._work: tuple[str, int | None, str | None] | None = None
        self._since = 0.0
        self._done = 0

    def begin(self, what: str, total: int | None, unit: str | None) -> None:
        """Work begins, in place of that before it."""
        self.end()
        self._work, self._since, self._done = (what, total, unit), time.monotonic(), 0

    def advance(self, units: int) -> None:
        """So much more of it is done."""
        self._done += units
        if self._bar is not None:
            self._bar.update(units)
        elif self._shows and self._work is not None and time.monotonic() - self._since > _UNSEEN:
            self._open(*self._work)

    def _open(self, what: str, total: int | None, unit: str | None) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            self._shows = False
            return
        self._bar = tqdm(desc=what, total=total, unit=f" {unit}" if unit else "", initial=self._done, leave=False)

    def end(self) -> None:
        """It has ended, whether or not it was completed."""
        bar, self._bar, self._work = self._bar, None, None
        if bar is not None:
            bar.close()

    def finished(self, part: str, seconds: float | None) -> None:
        """A part of an investigation is done."""
        _LOG.info("%s: %s", part, "taken over" if seconds is None else f"{seconds:.1f} s")

    def say(self, kind: str, text: str) -> None:
        """A sentence of the lab."""
        if kind == "warning":
            warnings.warn(text, stacklevel=2)
        elif kind == "detail":
            _LOG.debug("%s", text)
        else:
            _LOG.info("%s", text)
