"""A provider that the project knows nothing of: an OpenAI-compatible server with tasks and models of its own.

It shares no code and no phrases with ``promptmigrate.simulate`` or ``promptmigrate.search``; migrations
against it show that nothing is tuned to the built-in simulator. Every request is kept, so a test can count
them and find repeated ones.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any

from aiohttp import web

KEY = "foreign-secret-key-4711"
CITIES = ["Oslo", "Lima", "Cairo", "Perth", "Quito", "Delhi", "Tunis", "Kyoto"]
ITEMS = ["parcel", "letter", "pallet", "crate", "tube", "barrel"]
MOODS = {
    "thrilled": "GLAD",
    "delighted": "GLAD",
    "furious": "CROSS",
    "annoyed": "CROSS",
    "shrugging": "FLAT",
    "indifferent": "FLAT",
}


def note(index: int) -> tuple[str, str]:
    """A customer's note and its mood."""
    words = list(MOODS)
    word = words[_number("mood", index) % len(words)]
    city = CITIES[_number("city", index) % len(CITIES)]
    item = ITEMS[_number("item", index) % len(ITEMS)]
    return f"Note {index}: the {item} for {city} came and I am {word} about it.", MOODS[word]


def shipment(index: int) -> tuple[str, str]:
    """A shipping line and the record in it."""
    city = CITIES[_number("to", index) % len(CITIES)]
    item = ITEMS[_number("what", index) % len(ITEMS)]
    count = _number("n", index) % 90 + 1
    text = f"Line {index}: please send {count} x {item} to {city} this week."
    return text, json.dumps({"goods": item, "amount": count, "destination": city})


def _number(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big")


def _chance(share: float, *parts: object) -> bool:
    return _number(*parts) % 10_000 < share * 10_000


def _truth(text: str) -> str | None:
    found = re.findall(r"Note (\d+):|Line (\d+):", text)
    if not found:
        return None
    mood, line = found[-1]
    return note(int(mood))[1] if mood else shipment(int(line))[1]


def _terse_wanted(prompt: str) -> bool:
    """Whether the prompt makes clear that the bare answer is wanted, in one of many ways."""
    asked = re.search(
        r"\b(only|just|solely|nothing (else|but|more)|no (explanation|other text|extra)|exactly one|bare)\b",
        prompt,
        re.I,
    )
    return bool(asked)


MODELS = ("grand", "petite", "dull", "twin", "writer", "critic")


def answer(model: str, messages: list[dict[str, str]]) -> str:
    """What ``model`` says; the ``critic``, asked for a verdict, mostly talks."""
    everything = "\n".join(m["content"] for m in messages)
    last = next(m["content"] for m in reversed(messages) if m["role"] == "user")
    if model == "critic":
        decided = _chance(0.35, "verdict", re.findall(r"Note (\d+):", last))
        return "VERDICT: DIFFERENT" if decided else "Both texts have their charms, I would say."
    if model == "writer":
        return _write(everything)
    truth = _truth(last)
    if truth is None:
        return "I am not sure what you mean."
    shown = sum(m["role"] == "assistant" for m in messages)
    instructions = everything.replace(last.splitlines()[-1], "")
    if model == "grand":
        return truth if not _chance(0.03, "grand", last[-60:]) else "UNSURE"
    if model == "twin":
        return truth if not _chance(0.03, "twin", last[-60:]) else "UNSURE"
    if model == "dull":
        # no wording helps: four rows in ten are beyond it
        return truth if not _chance(0.4, "dull", last[-60:]) else "UNSURE"
    # "petite" knows the answers but wraps them, unless told otherwise or shown how
    tidy = _terse_wanted(instructions) or shown >= 2
    vocabulary = shown >= 3 or all(
        word in instructions
        for word in (("GLAD", "CROSS", "FLAT") if "{" not in truth else ("goods", "amount"))
    )
    if _chance(0.02, "petite", last[-60:]):
        return "UNSURE"
    if "{" not in truth:
        word = truth if vocabulary else {"GLAD": "Happy", "CROSS": "Angry", "FLAT": "Neutral"}[truth]
        return word if tidy else f"Well, this customer sounds **{word}** to me."
    record = json.loads(truth)
    if not vocabulary:
        record = {"item": record["goods"], "quantity": str(record["amount"]), "city": record["destination"]}
    body = json.dumps(record)
    return body if tidy else f"Here you go:\n```json\n{body}\n```"


def _write(request: str) -> str:
    """An editor that repeats the longest prompt-like block and adds a line about what it saw."""
    blocks = re.findall(r"```(?:\w*\n)?(.*?)```", request, re.S)
    blocks += re.findall(r"\[\[ ## \w+ ## \]\]\n(.*?)(?=\n\[\[ ## |\Z)", request, re.S)
    prompts = [b.strip() for b in blocks if re.search(r"(mood|shipping|record|customer)", b, re.I)]
    base = min(prompts, key=len) if prompts else "Do the task."
    wanted = sorted({w for w in ("GLAD", "CROSS", "FLAT") if w in request})
    extra = "Reply with just the answer, no explanation."
    if wanted:
        extra += f" Use one of {', '.join(wanted)}."
    if '"goods"' in request:
        extra += " The keys are goods, amount and destination."
    return f"```\n{base}\n{extra}\n```"


class Foreign:
    """The server, on a thread of its own; ``log`` holds a (model, body hash) for each chat request."""

    def __init__(self, *, latency_s: float = 0.0, fault: Callable[[int], int | None] | None = None) -> None:
        self.latency_s = latency_s
        self.fault = fault
        """Request number -> HTTP status to fail with, or None."""
        self.blocked: Callable[[str, str], bool] | None = None
        """Model and text of the last message -> whether its content filter blocks the answer."""
        self.log: list[tuple[str, str]] = []
        self.answered: Counter[str] = Counter()
        self.base_url = ""
        self.listing = True
        """Whether it tells which models it has."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def calls(self) -> int:
        """Chat requests received."""
        return len(self.log)

    @property
    def repeated(self) -> int:
        """Answered requests that were answered before."""
        return sum(count - 1 for count in self.answered.values())

    async def _chat(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": {"message": "bad key"}}, status=401)
        body: dict[str, Any] = await request.json()
        fingerprint = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        self.log.append((body["model"], fingerprint))
        number = len(self.log)
        if body["model"] not in MODELS:
            return web.json_response({"error": {"message": "no such model"}}, status=404)
        if self.fault and (status := self.fault(number)):
            return web.json_response(
                {"error": {"message": "try later"}}, status=status, headers={"Retry-After": "0"}
            )
        await asyncio.sleep(self.latency_s)
        text = answer(body["model"], body["messages"])
        blocked = self.blocked is not None and self.blocked(body["model"], body["messages"][-1]["content"])
        self.answered[fingerprint] += 1
        asked = sum(len(m["content"]) for m in body["messages"]) // 4
        return web.json_response(
            {
                "id": f"f-{number}",
                "object": "chat.completion",
                "model": body["model"],
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": "" if blocked else text},
                        "finish_reason": "content_filter" if blocked else "stop",
                    }
                ],
                "usage": {"prompt_tokens": asked, "completion_tokens": len(text) // 4 + 1},
            }
        )

    async def _models(self, request: web.Request) -> web.Response:
        if not self.listing:
            return web.json_response({"error": {"message": "not here"}}, status=404)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": {"message": "bad key"}}, status=401)
        return web.json_response({"object": "list", "data": [{"id": name} for name in MODELS]})

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def __enter__(self) -> Foreign:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
