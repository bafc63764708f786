"""A world as a provider: it counts what it is asked, and holds to a cap of task calls."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from benchmarks.worlds._base import Messages, Row, Source, World, chance, messages_of
from benchmarks.worlds.editor import edit

TASK, EDITOR, PRODUCTION = "task", "editor", "production"


class CappedError(Exception):
    """The provider answers no more task calls."""


class Provider:
    """Answers for one world.

    Args:
        world: The world.
        cap: Task calls it answers; None: any number.
        grace: How far over ``cap`` it still answers, as a share.
        on_cap: Called once, on the caller's thread, by the first call over the grace; may end the process.
    """

    def __init__(
        self,
        world: World,
        *,
        cap: int | None = None,
        grace: float = 0.0,
        on_cap: Callable[[], None] | None = None,
    ) -> None:
        self.world, self.cap = world, cap
        self._limit = None if cap is None else int(cap * (1 + grace))
        self._on_cap = on_cap
        self._lock = threading.RLock()
        self._asked: Counter[str] = Counter()
        self._scores: dict[str, dict[int, float]] = {}
        self._sources: dict[str, Source] = {}
        self.tasks = 0
        """Task calls answered."""
        self.edits = 0
        """Calls of the editor answered."""
        self.tokens = 0
        """Tokens of the task calls, as characters / 4."""
        self.repeated = 0
        """Task calls at temperature 0 that had been answered before."""

    def chat(self, model: str, messages: Messages, params: Mapping[str, Any]) -> str:
        """One call.

        Raises:
            CappedError: the cap and its grace are used up.
        """
        turns = [{"role": m["role"], "content": m["content"]} for m in messages]
        sampled = float(params.get("temperature") or 0.0) > 0
        kept = {"temperature": params["temperature"]} if sampled else {}
        mark = hashlib.sha256(json.dumps([model, turns, kept]).encode()).hexdigest()
        name = model.rpartition("/")[2]
        with self._lock:
            again = self._asked[mark]
            if name == TASK:
                if self._limit is not None and self.tasks >= self._limit:
                    if self._on_cap is not None:
                        self._on_cap()
                    raise CappedError(f"{self.cap} task calls are used up")
                self.tasks += 1
                self.tokens += sum(len(m["content"]) for m in turns) // 4
                self.repeated += bool(again and not sampled)
            elif name == EDITOR:
                self.edits += 1
            self._asked[mark] += 1
        if name == PRODUCTION:
            return self._production(turns)
        if name != TASK:
            return edit(self.world, turns, again if sampled else 0)
        answer = self.world.answer(turns, kept, again if sampled else 0)
        self._note(turns, answer)
        return answer

    def _production(self, messages: Messages) -> str:
        """The model that production has: it is right, but for one answer in fifty."""
        found = re.findall(self.world.ref, messages[-1]["content"])
        if not found:
            return "I see no text."
        row = self.world.row(int(found[-1]))
        slips = chance("production", row.ref) < 0.02
        return self.world.slip(row, chance("where", row.ref)) if slips else row.truth

    def _note(self, messages: list[dict[str, str]], answer: str) -> None:
        reading = self.world.read(messages)
        if reading is None:
            return
        source = plain(messages, reading.row)
        key = json.dumps(source)
        with self._lock:
            self._sources[key] = source
            self._scores.setdefault(key, {})[reading.row.ref] = self.world.grade(reading.row, answer)[0]

    def best_so_far(self, rows: Iterable[Row]) -> Source:
        """The prompt with the best mean, of those seen on half as many of ``rows`` as any other."""
        refs = {row.ref for row in rows}
        with self._lock:
            means = []
            for key, scores in self._scores.items():
                known = [score for ref, score in scores.items() if ref in refs]
                if known:
                    means.append((len(known), sum(known) / len(known), key))
        if not means:
            return self.world.prompt
        most = max(count for count, _, _ in means)
        return self._sources[max((mean, key) for count, mean, key in means if 2 * count >= most)[1]]

    def test(self, source: Source, rows: Iterable[Row]) -> float:
        """Mean grade of a plain prompt; nothing is counted."""
        return score(self.world, source, rows)


def plain(messages: list[dict[str, str]], row: Row) -> Source:
    """The prompt behind a request: the row's values in its last user turn are placeholders again."""
    turns = [dict(m) for m in messages]
    last = max(i for i, m in enumerate(turns) if m["role"] == "user")
    for name, value in row.inputs.items():
        before, found, after = turns[last]["content"].rpartition(value)
        if found:
            turns[last]["content"] = f"{before}{{{{{name}}}}}{after}"
    return turns[0]["content"] if len(turns) == 1 else turns


def score(world: World, source: Source, rows: Iterable[Row]) -> float:
    """Mean grade of a plain prompt on ``rows``."""
    grades = [world.grade(row, world.answer(messages_of(source, row.inputs), {}))[0] for row in rows]
    return sum(grades) / len(grades)


class Server:
    """A :class:`Provider` behind an OpenAI-compatible address, on a thread; ``port`` 0: a free one."""

    def __init__(self, provider: Provider, *, latency_s: float = 0.0, port: int = 0) -> None:
        self.provider, self.port, self._latency_s = provider, port, latency_s
        self.base_url = ""
        self.log: list[str] = []
        """Digest of each chat request, in the order of arrival."""
        self.answered: dict[str, float] = {}
        """When the last answer to each request was handed over, by ``time.monotonic``."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    async def _start(self) -> None:
        from aiohttp import web

        async def chat(request: web.Request) -> web.StreamResponse:
            body = await request.json()
            mark = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
            self.log.append(mark)
            if self._latency_s:
                await asyncio.sleep(self._latency_s)
            try:
                text = self.provider.chat(body["model"], _texts(body["messages"]), body)
            except CappedError as error:
                return web.json_response({"error": {"message": str(error)}}, status=402)
            asked = sum(len(m["content"]) for m in body["messages"]) // 4
            said = {"role": "assistant", "content": text}
            answer = web.json_response(
                {
                    "id": f"b-{len(self.log)}",
                    "object": "chat.completion",
                    "created": 0,
                    "model": body["model"],
                    "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
                    "usage": {
                        "prompt_tokens": asked,
                        "completion_tokens": len(text) // 4 + 1,
                        "total_tokens": asked + len(text) // 4 + 1,
                    },
                }
            )
            try:
                await answer.prepare(request)
                await answer.write_eof()
            except ConnectionResetError:  # whoever asked is gone
                return answer
            self.answered[mark] = time.monotonic()
            return answer

        async def models(_: web.Request) -> web.Response:
            return web.json_response(
                {"object": "list", "data": [{"id": name} for name in (TASK, EDITOR, PRODUCTION)]}
            )

        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        app.router.add_get("/v1/models", models)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Server:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


def _texts(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    made = []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            content = "\n".join(part.get("text", "") for part in content)
        made.append({"role": message["role"], "content": re.sub(r"\r\n", "\n", content)})
    return made
