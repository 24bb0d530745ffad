"""The command ``archaeo``: the same program as the one that Cargo installs."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line of this process and ends it with the program's exit status."""
    # Before anything starts a thread, NumPy among it: the program waits for signals itself.
    from ._archaeo import run

    sys.exit(run(["archaeo", *sys.argv[1:]]))
