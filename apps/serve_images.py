"""Fetch images for `cephalo serve --fetch-images`: from public addresses only, within limits."""

import base64
import ipaddress
import socket

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

MAX_BYTES = 20 << 20  # of one image
SECONDS = 20.0  # for one image
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # maps IPv4 addresses, including private ones


class FetchError(Exception):
    """An image that cannot be fetched; the message is one line."""


class PublicResolver(AbstractResolver):
    """Resolves the addresses of a host, and rejects those that are not on the public internet.

    The connection is made to the checked addresses, so changing the address of a name meanwhile has
    no effect.
    """

    def __init__(self) -> None:
        self.resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises OSError if one is not public."""
        found = await self.resolver.resolve(host, port, family)
        if not all(is_public(one["host"]) for one in found):
            raise OSError(None, "its address is not public")
        return found

    async def close(self) -> None:
        """Do nothing; there is nothing to close."""


class ImageFetcher:
    """Fetches images as data URLs."""

    async def fetch(self, url: str) -> str:
        """Return the content of an address as a data URL. Raises FetchError."""
        try:
            host = yarl.URL(url).host
            if not host or (is_address(host) and not is_public(host)):
                raise FetchError("its address is not public")
            async with self.session() as session, session.get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise FetchError(f"status {answer.status}; redirections are not followed")
                data = await read_bounded(answer)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchError(str(error)[:200] or "it took too long") from error
        return f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"

    def session(self) -> aiohttp.ClientSession:
        """Return a separate client for each image: no cookies, no proxy, no credentials."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=PublicResolver(), use_dns_cache=False),
            timeout=aiohttp.ClientTimeout(total=SECONDS),
            headers={"Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )


async def read_bounded(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer. Raises FetchError if it has more than MAX_BYTES."""
    data = bytearray()
    async for chunk in answer.content.iter_any():
        data += chunk
        if len(data) > MAX_BYTES:
            raise FetchError(f"it has more than {MAX_BYTES >> 20} MB")
    return bytes(data)


def is_address(host: str) -> bool:
    """Return whether a host is an IP address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Return whether an IP address is on the public internet, in any notation."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return is_public(str(found.ipv4_mapped))
        if found.sixtofour or found.teredo or found in NAT64:
            return False
    return found.is_global and not found.is_multicast
