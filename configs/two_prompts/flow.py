"""Which queue gets a ticket: asked once, and once more where the first answer is not a queue.

The program knows prompts by name and no model. In production ``ask`` is ten lines of the team's own (see
docs/programs.md); a migration brings its own ``ask``.
"""

from __future__ import annotations

from collections.abc import Callable

QUEUES = frozenset(
    {
        "billing", "refund", "account_access", "bug_report",
        "feature_request", "shipping", "cancellation", "general",
    }
)  # fmt: skip


def route(ask: Callable[..., str], ticket: str) -> str:
    """The queue of ``ticket``."""
    queue = ask("classify", ticket=ticket).strip()
    if queue in QUEUES:
        return queue
    return ask("repair", ticket=ticket, said=queue).strip()
