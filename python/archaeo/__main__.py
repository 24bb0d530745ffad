"""``python -m archaeo``: the command ``archaeo``."""

from ._command import main

if __name__ == "__main__":
    main()
