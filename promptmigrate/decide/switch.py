"""When to move to a model, in one sentence."""

from __future__ import annotations

from promptmigrate.decide.verdict import Interval, Verdict
from promptmigrate.decide.wording import plural, times


def switch_if(model: str, verdict: Verdict) -> str:
    """Under which condition to move to ``model``, with every interval that is shown of it elsewhere.

    Cost or latency are a reason where one of them is shown to be lower: its whole interval is.
    """
    if verdict.verdict == "REJECT":
        return f"Do not switch to {model}: {verdict.reasons[0]}"
    if verdict.verdict == "INCONCLUSIVE":
        needed = verdict.rows_needed
        after = (
            f"about {plural(needed, 'more test row')} {'has' if needed == 1 else 'have'}"
            if needed
            else "another run has"
        )
        return f"Switch to {model} only when {after} settled it: {verdict.reasons[0]}"
    measured = [
        (name, ratio, interval)
        for name, ratio, interval in (
            ("a cost per call", verdict.cost_ratio, verdict.cost_ratio_interval),
            ("a p95 latency", verdict.p95_latency_ratio, verdict.p95_latency_ratio_interval),
        )
        if ratio is not None
    ]
    said = " and ".join(f"{name} of {_shown(ratio, interval)}" for name, ratio, interval in measured)
    assert verdict.interval is not None, "nothing is promoted without one"
    low, high = verdict.corrected.interval if verdict.corrected else verdict.interval
    quality = f"a quality between {100 * low:+.1f} and {100 * high:+.1f} points of production's"
    if any((interval.high if interval else ratio) < 1.0 for _, ratio, interval in measured):
        return f"Switch to {model} if {said} {'are' if len(measured) > 1 else 'is'} worth {quality}."
    return (
        f"Switch to {model} only for reasons of your own: it has {said + ' and ' if said else ''}{quality}."
    )


def _shown(ratio: float, interval: Interval | None) -> str:
    reach = "" if interval is None else f" ({times(interval.low)} to {times(interval.high)})"
    return f"{times(ratio)} production's{reach}"
