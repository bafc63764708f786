"""Small things around aiohttp."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import aiohttp


def environment_proxy(url: str) -> str | None:
    """The proxy that the environment names (HTTPS_PROXY, NO_PROXY) for an https address; None for others."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get("https")


async def read(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body, or None if it is longer than ``limit`` bytes (after decompression)."""
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def let_go(response: aiohttp.ClientResponse | None) -> None:
    """Keep the connection if the body was read to its end, else close it: the rest would poison the next."""
    if response is None:
        return
    if response.content.is_eof():
        response.release()
    else:
        response.close()


def client_error() -> type[Exception]:
    import aiohttp

    return aiohttp.ClientError
