"""How the proposers inside DSPy's optimizers reach the reflection model.

Importing this module imports DSPy.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError, LMError

from promptmigrate.search.dspy_bridge import UNSEEN
from promptmigrate.search.proposers import door_error
from promptmigrate.search.strategies._measurer import Measurer, MissingOutcomeError

_PROPOSED = "proposed_instruction"
"""The field in which DSPy's proposers ask for new instructions."""


class CountedAdapter(dspy.ChatAdapter):  # type: ignore[misc]
    """DSPy's own way of asking, but one call per asking, counted before it is made.

    A call that fails, or a reply that cannot be read, proposes the instructions as they are: they are
    measured already, so that costs nothing, and does not break off an optimizer.

    Args:
        measurer: Counts the calls.
        unchanged: The instructions as they are.
    """

    def __init__(self, measurer: Measurer, unchanged: str) -> None:
        super().__init__(use_json_adapter_fallback=False)
        self._measurer, self._unchanged = measurer, unchanged
        self._asked: Counter[str] = Counter()

    def __call__(
        self,
        lm: Any,
        lm_kwargs: dict[str, Any],
        signature: Any,
        demos: list[dict[str, Any]],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """One reply for each of ``lm_kwargs["n"]``.

        Raises:
            MissingOutcomeError: the request would show an answer that was not measured.
            Stop: there is no call left, or the door ends the search.
        """
        if any(UNSEEN in str(value) for value in inputs.values()):
            raise MissingOutcomeError("a row without an outcome is not shown to a reflection model")
        settings = {name: value for name, value in lm_kwargs.items() if name != "n"}
        question = repr((signature.instructions, inputs))
        replies = []
        for _ in range(lm_kwargs.get("n") or 1):
            # The same question again wants another answer, not the cached one.
            again = {"rollout_id": number} if (number := self._asked[question]) else {}
            self._asked[question] += 1
            replies.append(self._ask(lm, {**settings, **again}, signature, demos, inputs))
        return replies

    def _ask(self, lm: Any, settings: dict[str, Any], signature: Any, demos: Any, inputs: Any) -> Any:
        self._measurer.charge()
        try:
            return super().__call__(lm, settings, signature, demos, inputs)[0]
        except (LMError, AdapterParseError) as error:
            if (stopped := door_error(error)) is not None:
                self._measurer.fail(stopped)
            if _PROPOSED not in signature.output_fields:
                raise
            return {name: self._unchanged if name == _PROPOSED else "" for name in signature.output_fields}
