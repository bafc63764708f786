"""The command line: one module per command, heavy imports inside them.

Exit codes: 0 done (for ``migrate``: promoted), 1 the tool broke, 2 usage or configuration, 3 budget exhausted
before a verdict, 100 the gate said no (REJECT), 101 INCONCLUSIVE.
"""

from __future__ import annotations

from promptmigrate.cli.app import main

__all__ = ["main"]
