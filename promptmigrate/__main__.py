"""``python -m promptmigrate``."""

from __future__ import annotations

from promptmigrate.cli import main

if __name__ == "__main__":
    main()
