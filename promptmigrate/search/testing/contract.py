"""The tests that every strategy has to pass."""

# ruff: noqa: D102 - the name of a test says what it asks for

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from promptmigrate.errors import EndpointError
from promptmigrate.search.base import CHANGEABLE, SearchResult, Strategy
from promptmigrate.search.registry import changes, reflects
from promptmigrate.search.registry import strategy as by_name
from promptmigrate.search.rules import BrokenRuleError, run_strategy
from promptmigrate.search.testing.shop import CHAT, OUTAGE, TEXT, TWO, Shop, better
from promptmigrate.types import Prompt


class StrategyContract:
    """Inherit it and set :attr:`strategy`; every method is a test."""

    strategy: ClassVar[Any]
    """The strategy under test: its class, an object, or its name."""
    deterministic: ClassVar[bool | None] = None
    """Whether the same problem gives the same result; None: what the strategy's ``deterministic`` says."""

    def made(self) -> Strategy:
        """The strategy, as the registry would give it."""
        given = vars(type(self)).get("strategy", self.strategy)
        made = by_name(given) if isinstance(given, str) else given() if isinstance(given, type) else given
        assert isinstance(made, Strategy), "a strategy has a name and search(problem)"
        return made

    def run(self, shop: Shop, calls: int = 120, **changes: Any) -> SearchResult:
        """Search, and check what holds for every result and every prompt that is measured."""
        problem = shop.problem(calls, **changes)
        try:
            result = run_strategy(self.made(), problem)
        except BrokenRuleError as error:
            raise AssertionError(str(error)) from error
        best, original = result.best, shop.original
        assert result.calls <= max(0, calls), "it counts more calls than were planned"
        assert shop.calls <= result.calls, "it made calls that it did not count"
        assert not shop.strangers, "it evaluated rows that are neither train nor validation rows"
        asked = "\n".join(shop.requests)
        hidden = [str(e.inputs["note"]) for e in problem.validation]
        assert not any(note in asked for note in hidden), "it showed a validation row to the reflection model"
        assert OUTAGE not in asked, "it showed an infrastructure error to the reflection model"
        assert best == original or any(key == best.digest for key, _ in shop.given), "best was never measured"
        front = [point.variant for point in result.front]
        assert not front or best in front, "the front lacks the prompt that is shipped"
        scored = shop.scored(best)
        assert result.rows == len(scored), "rows are the validation rows with a score"
        if scored:
            assert result.quality is not None and abs(result.quality - sum(scored) / len(scored)) < 1e-9
        else:
            assert result.quality is None
        return result

    def test_never_more_calls_than_planned(self) -> None:
        for calls in (0, 1, 3, 8, 30, 75, 200):
            self.run(Shop(), calls)
        for calls in (2, 40, 150):
            self.run(Shop(calls_per_row=3), calls)

    def test_every_shape_of_prompt_keeps_its_variables_and_turns(self) -> None:
        for prompt in (CHAT, TEXT, TWO):
            shop = Shop(prompt)
            best = self.run(shop).best.prompt
            assert best.messages[-1].content.endswith(prompt.messages[-1].content[-20:])
            extra = len(best.messages) - len(prompt.messages)
            assert extra % 2 == 0 and extra >= 0, "demos are pairs of turns, and no turn is lost"

    def test_refuses_what_a_bad_reflection_model_writes(self) -> None:
        copied = str(Shop().train[0].inputs["note"])
        anew = "With only the shelf.\nHere is the note: {{note}}"
        lost = Shop(TWO, write=lambda text, _: f"Say {{{{elsewhere}}}} with only the shelf. {len(text)}")
        for shop in (
            lost,
            Shop(write=lambda text, n: f"{text} {n}. {anew}"),
            Shop(TEXT, write=lambda text, n: f"{text} {n}. {anew}"),
            Shop(write=lambda text, _: f"{text} With only the shelf. For example: {copied}"),
            Shop(write=lambda text, _: f"{text} With only the shelf." + " Be brief, and be quick." * 4000),
            Shop(write=lambda text, n: f"{text} Only the shelf {{% if {n} %}} now {{% endif %}}."),
        ):
            best = self.run(shop).best.prompt
            texts = [m.content for m in best.messages if m.role != "assistant"]
            assert not any("only the shelf" in text.lower() for text in texts), "it took a refused proposal"

    def test_survives_a_reflection_model_that_says_nothing_of_use(self) -> None:
        for reply in ("", ']] {{% ``` {"', "[[ ## completed ## ]]", None):
            self.run(Shop(write=partial(_always, reply), raw=True), 80)

    def test_infrastructure_errors_are_not_scores(self) -> None:
        shop = Shop(broken=0.35)
        result = self.run(shop, 150)
        assert shop.true_quality(result.best) >= shop.true_quality(shop.original) - 0.1
        self.run(Shop(write=lambda text, n: None if n < 350 else better(text, n), broken=0.35), 100)

    def test_rows_that_cannot_be_measured_change_nothing(self) -> None:
        shop = Shop(broken=1.0)
        result = self.run(shop)
        assert result.best == shop.original
        assert result.quality is None and result.code == "unmeasurable"

    def test_an_exceeded_budget_gives_the_best_so_far(self) -> None:
        for limit in (0, 1, 9, 25, 60):
            result = self.run(Shop(limit=limit), 400)
            assert result.code in ("budget", "exhausted", "no_improvement", "perfect", "unreachable")
            assert result.calls <= 400

    def test_an_unusable_endpoint_reaches_the_caller(self) -> None:
        def refuse(*_: object) -> Any:
            raise EndpointError("the endpoint refuses the key")

        try:
            self.made().search(Shop().problem(100, evaluate=refuse))
        except EndpointError:
            return
        raise AssertionError("an EndpointError of evaluate did not reach the caller")

    def test_the_same_problem_gives_the_same_result(self) -> None:
        claimed = self.deterministic
        if claimed is None:
            claimed = bool(getattr(self.made(), "deterministic", False))
        if not claimed:
            return
        for calls in (60, 150):
            first, second = self.run(Shop(), calls), self.run(Shop(backwards=True), calls)
            assert first.best == second.best
            assert (first.calls, first.quality, first.rows) == (second.calls, second.quality, second.rows)

    def test_changes_only_what_it_may(self) -> None:
        for allowed in ((), ("format",), ("demos",), ("instructions",)):
            shop = Shop()
            best = self.run(shop, 100, may_change=frozenset(allowed)).best
            before, after = shop.original.prompt.messages, best.prompt.messages
            assert best.params == shop.original.params
            if "demos" not in allowed:
                assert len(after) == len(before)
            if "instructions" not in allowed and "format" not in allowed:
                assert after[0] == before[0] and after[-1] == before[-1]
            if changes(self.made()).isdisjoint(allowed):
                assert best == shop.original

    def test_says_only_what_is_true_of_itself(self) -> None:
        assert changes(self.made()) <= CHANGEABLE, "changes names what no search may change"
        shop = Shop()
        self.run(shop, 150)
        assert shop.reflections == 0 or reflects(self.made())

    def test_leaves_a_perfect_original_alone(self) -> None:
        shop = Shop(expert=True)
        result = self.run(shop)
        assert result.best == shop.original and result.quality == 1.0

    def test_few_rows_or_none(self) -> None:
        shop = Shop(rows=2)
        self.run(shop, 60)
        self.run(Shop(), 60, train=())
        self.run(Shop(), 60, prompts=(TEXT, CHAT, Prompt.of("Another {{thing}}")))

    def test_shows_nothing_and_does_not_seed_what_is_global(self) -> None:
        state = random.getstate()
        after = []
        try:
            with _listened() as written:
                for seed in (1, 2):
                    random.seed(seed)
                    self.run(Shop(), 100)
                    after.append(random.getstate())
        finally:
            random.setstate(state)
        assert written.getvalue() == "", "stdout belongs to the command line"
        assert after[0] != after[1], "it seeds the global random state"


def _always(reply: str | None, _instructions: str, _number: int) -> str | None:
    return reply


@contextlib.contextmanager
def _listened() -> Iterator[io.StringIO]:
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        yield written
