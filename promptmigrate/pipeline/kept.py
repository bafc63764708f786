"""What the searches of a run came to, kept in its folder: one that has ended is not made again.

So a run that goes on, be it after a crash or after its verdict, asks the gate about the same candidates, also
where the strategy would not come to the same result again. Of several workers the first that ends a search
settles it for all.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptmigrate.config import Config
from promptmigrate.errors import StorageError, UsageError
from promptmigrate.evaluate import Evaluator
from promptmigrate.files import atomic_write, digest
from promptmigrate.pipeline.rundir import RunDir, first_written
from promptmigrate.search import CandidateRecord, FrontPoint, Generation, SearchResult, strategy
from promptmigrate.types import Dataset, Example, Message, Prompt, Variant

if TYPE_CHECKING:
    from promptmigrate.pipeline.meeting import Meeting

_SCHEMA = "promptmigrate.search/2"
_BEGAN_WITH = ("config_digest", "prompt_digest", "dataset_digest", "inputs_digest")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A search that has ended, and what of its answers the run still reads."""

    found: SearchResult
    measured: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Digest of a Variant -> ids of the train and validation rows that it had answered."""
    asked: int = 0
    """Most calls that a program was seen to make for a row; 0 without a program."""

    @classmethod
    def of(
        cls,
        found: SearchResult,
        dataset: Dataset,
        evaluator: Evaluator,
        sides: Sequence[Variant],
        *,
        asked: int = 0,
    ) -> Ended:
        """``found`` with what ``evaluator`` knows of ``sides`` and of the winner."""
        rows = _open_rows(dataset)
        known = {side.digest: evaluator.known(side, rows).examples for side in (*sides, found.best)}
        measured = {variant: tuple(example.id for example in those) for variant, those in known.items()}
        return cls(found=found, measured=measured, asked=asked)

    def recall(self, dataset: Dataset, evaluator: Evaluator, sides: Sequence[Variant]) -> None:
        """Make ``evaluator`` know again what :meth:`of` read from it; the answers are in the call cache."""
        rows = _open_rows(dataset)
        for side in (*sides, self.found.best):
            ids = set(self.measured.get(side.digest, ()))
            evaluator.run([side], [example for example in rows if example.id in ids], phase="search")


def _open_rows(dataset: Dataset) -> list[Example]:
    return [*dataset.split("train"), *dataset.split("validation")]


class Searches:
    """The searches of one run, by the number of their target.

    Args:
        run: Its folder; what it began with is in its ``run.json``.
        meeting: The storage that workers of several hosts share.
        anew: Whether searches are made again although they ended.
    """

    def __init__(self, run: RunDir, meeting: Meeting | None = None, *, anew: bool = False) -> None:
        self._run, self._meeting, self._anew = run, meeting, anew

    def ended(self, target: int) -> Ended | None:
        """What the search of ``target`` came to; None: it has not ended.

        Raises:
            StorageError: what is kept cannot be read, or belongs to another run.
        """
        if self._anew or not self._began_with:
            return None
        path = self._run.search(target)
        if self._meeting is not None and (text := self._meeting.search(self._run, target)) is not None:
            return self._read(target, text)
        if not path.is_file():
            return None
        here = self._read(target, _text(path))
        return here if self._meeting is None else self.keep(target, here)

    def keep(self, target: int, ended: Ended) -> Ended:
        """Keep ``ended`` as the result, unless another worker did so before; the one that counts.

        A search that could measure nothing is not kept: it may do better when its models answer again.
        """
        if ended.found.code == "unmeasurable":
            return ended
        text = json.dumps(_written(ended, self._began_with), indent=1)
        path = self._run.search(target)
        if self._meeting is None:
            settled = first_written(path, text)
        else:
            settled = self._meeting.settle_search(self._run, target, text)
            atomic_write(path, settled)
        return ended if settled == text else self._read(target, settled)

    @property
    def _began_with(self) -> str:
        """Digest of configuration, prompt, rows and files of the run; empty where it has not begun."""
        state = self._run.state()
        return digest([state[name] for name in _BEGAN_WITH]) if set(_BEGAN_WITH) <= set(state) else ""

    def _read(self, target: int, text: str) -> Ended:
        path = self._run.search(target)
        again = "delete it and run the same command again: the search is then made again"
        try:
            data = json.loads(text)
            if data["schema"] != _SCHEMA:
                raise StorageError(f"{path} was written by another version of promptmigrate; {again}")
            if data["run"] != self._began_with:
                raise StorageError(f"{path} is the search of another run; {again}")
            if data["digest"] != _sealed(data):
                raise StorageError(f"{path} is not as it was written; {again}")
            return _ended(data)
        except StorageError:
            raise
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise StorageError(f"{path} cannot be read ({type(error).__name__}: {error}); {again}") from error


def recorded(run: RunDir, config: Config) -> Searches:
    """The searches of a run whose replies are recorded: the recording has to hold those of the searches too.

    Raises:
        UsageError: the search has ended, and would not come to the same again.
    """
    name, kept = config.search.strategy, Searches(run)
    if getattr(strategy(name), "deterministic", False):
        return Searches(run, anew=True)
    if any(kept.ended(target) for target in range(len(config.targets))):
        raise UsageError(
            f"--record needs the search from its beginning; that of {run.path} has ended, and {name} would "
            "not come to the same again: record with another folder as --runs"
        )
    return kept


def _written(ended: Ended, run: str) -> dict[str, Any]:
    """As JSON data; every Variant is written once, in ``variants``, and named by its place there."""
    places: dict[tuple[str, str, str], int] = {}
    variants: list[dict[str, Any]] = []

    def plain(value: Any) -> Any:
        if isinstance(value, Variant):
            mark = (value.digest, value.component, value.origin)
            if mark not in places:
                places[mark] = len(variants)
                variants.append(_variant_written(value))
            return places[mark]
        if dataclasses.is_dataclass(value):
            return {entry.name: plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
        return [plain(each) for each in value] if isinstance(value, tuple) else value

    found = plain(ended.found)
    data = {
        "schema": _SCHEMA,
        "run": run,
        "found": found,
        "variants": variants,
        "measured": {variant: list(ids) for variant, ids in ended.measured.items()},
        "asked": ended.asked,
    }
    return {**data, "digest": _sealed(data)}


def _sealed(data: Mapping[str, Any]) -> str:
    """Digest of all else: a prompt with a letter changed would be another prompt, and nobody would know."""
    return digest({key: value for key, value in data.items() if key != "digest"})


def _text(path: Path) -> str:
    # Bytes that are no text must not end a run without a word on what to do: such a file is no JSON either.
    return path.read_bytes().decode("utf-8", "replace")


def _variant_written(variant: Variant) -> dict[str, Any]:
    prompts = {name: prompt.source for name, prompt in variant.components.items()}
    return {
        "prompt": prompts or variant.prompt.source,
        "component": variant.component,
        "model": variant.model,
        "params": dict(variant.params),
        "origin": variant.origin,
    }


def _ended(data: Mapping[str, Any]) -> Ended:
    variants = [_variant(each) for each in data["variants"]]
    found = data["found"]

    def candidate(each: Mapping[str, Any]) -> CandidateRecord:
        place = each["variant"]
        return CandidateRecord(**{**each, "variant": None if place is None else variants[place]})

    def generation(each: Mapping[str, Any]) -> Generation:
        candidates = tuple(map(candidate, each["candidates"]))
        return Generation(**{**each, "candidates": candidates, "best": variants[each["best"]]})

    tokens = found["tokens"]
    result = SearchResult(
        **{
            **found,
            "best": variants[found["best"]],
            "front": tuple(FrontPoint(**{**p, "variant": variants[p["variant"]]}) for p in found["front"]),
            "generations": tuple(map(generation, found["generations"])),
            "facts": tuple(found["facts"]),
            "removed": tuple(found["removed"]),
            "tokens": None if tokens is None else (tokens[0], tokens[1]),
        }
    )
    measured = {variant: tuple(ids) for variant, ids in data["measured"].items()}
    return Ended(found=result, measured=measured, asked=data["asked"])


def _variant(each: Mapping[str, Any]) -> Variant:
    given, name = each["prompt"], each["component"]
    components = {key: _prompt(source) for key, source in given.items()} if isinstance(given, dict) else {}
    return Variant(
        prompt=components[name] if components else _prompt(given),
        model=each["model"],
        params=each["params"],
        components=components,
        component=name,
        origin=each["origin"],
    )


def _prompt(source: str | list[dict[str, str]]) -> Prompt:
    # Not by Prompt.of: a proposal that was refused is a part of the story, and need not be a good template.
    if isinstance(source, str):
        return Prompt.text(source)
    return Prompt(tuple(Message(**turn) for turn in source))
