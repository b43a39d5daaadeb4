"""The one way anything is fetched or posted: every address judged before it is dialled, everything limited.

1. The host is resolved; each of its addresses must be public, or the host one of those that may be
   private.
2. The connection goes to such an address, not to the name: nothing can resolve it anew in between.
   Certificates are still checked against the name.
3. A redirect starts again at 1, a few times at most, and never from https to http.
4. The body is written as it comes: up to a size, until an instant, and to its announced end.
5. Who has an edition already says which one (RFC 9110 section 13): the server may answer that it is
   still the newest.

What is posted or exchanged goes to the very URL: a redirect is an answer like others, and not followed.
"""

import io
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import IO

import httpx

from categories.validators import Validators

type OnProgress = Callable[[int, int | None], None]
"""Told the bytes written so far, and how many there will be, None when the server does not say."""

_PORTS = {"http": 80, "https": 443}
_AGENT = "towngate"
_LONGEST_VALIDATOR = 1024


class FetchError(Exception):
    """Nothing was fetched or posted, or nobody knows; what was written so far is of no use."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a fetch may take. `silence` is the longest wait for the next bytes."""

    size_bytes: int = 512 << 20
    duration: timedelta = timedelta(minutes=10)
    silence: timedelta = timedelta(seconds=30)
    redirects: int = 5


def named_private_host(url: str) -> str | None:
    """Return the host of a URL that names a private address outright, or this machine.

    Whoever wrote such a URL meant it; a public name that leads there is another matter.
    """
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL:
        return None
    try:
        is_private = not _is_public(host)
    except ValueError:
        is_private = host == "localhost"
    return host if is_private else None


def fetch(
    url: str,
    target: IO[bytes],
    *,
    private_hosts: Collection[str] = (),
    limits: Limits | None = None,
    trust: ssl.SSLContext | None = None,
    have: Validators | None = None,
    on_progress: OnProgress | None = None,
) -> Validators | None:
    """Write the body that `url` answers with to `target`; return what the server calls it.

    `have` is what it called the edition that is here already. None is returned, and nothing written,
    when the server says that it is still that one. `private_hosts` may have private addresses, and
    only they. `trust` is the system's unless given. Raises FetchError with the reason, in words for
    whoever named the URL.
    """
    limits = limits or Limits()
    give_up_at = time.monotonic() + limits.duration.total_seconds()
    with httpx.Client(
        verify=trust or ssl.create_default_context(),
        trust_env=False,
        timeout=limits.silence.total_seconds(),
    ) as client:
        for _ in range(limits.redirects + 1):
            here = _checked(url)
            conditions = {
                "If-None-Match": have and have.etag,
                "If-Modified-Since": have and have.last_modified,
            }
            headers = {name: value for name, value in conditions.items() if value}
            with _answer(client, "GET", here, private_hosts, headers) as response:
                if response.has_redirect_location:
                    url = str(here.join(response.headers["location"]))
                    if here.scheme == "https" and not url.startswith("https:"):
                        raise FetchError(f"{here}: redirects from https to {url}; not followed")
                    continue
                if have and response.status_code == httpx.codes.NOT_MODIFIED:
                    return None
                _write(response, here, target, limits, give_up_at, on_progress)
                return Validators(_validator(response, "etag"), _validator(response, "last-modified"))
    raise FetchError(f"{url}: over {limits.redirects} redirects; not followed further")


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    private_hosts: Collection[str] = (),
    silence: timedelta = timedelta(seconds=30),
    trust: ssl.SSLContext | None = None,
) -> int:
    """Post a body; return the status that is answered, whose own body nobody reads.

    `private_hosts`, `silence` and `trust` as for fetch. Raises FetchError.
    """
    with (
        httpx.Client(
            verify=trust or ssl.create_default_context(), trust_env=False, timeout=silence.total_seconds()
        ) as client,
        _answer(client, "POST", _checked(url), private_hosts, headers, body) as response,
    ):
        return response.status_code


def exchange(
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    private_hosts: Collection[str] = (),
    limits: Limits | None = None,
    trust: ssl.SSLContext | None = None,
) -> tuple[int, bytes]:
    """Post a body, or get where there is none; return the status and the body that is answered.

    `private_hosts` and `trust` as for fetch, and `limits` but for redirects. Raises FetchError.
    """
    limits = limits or Limits()
    give_up_at = time.monotonic() + limits.duration.total_seconds()
    here = _checked(url)
    answer = io.BytesIO()
    if trust is None:
        # Reading the system's authorities takes a while; without TLS nobody asks for them.
        is_tls = here.scheme == "https"
        trust = ssl.create_default_context() if is_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with (
        httpx.Client(
            verify=trust,
            trust_env=False,
            timeout=limits.silence.total_seconds(),
        ) as client,
        _answer(
            client, "GET" if body is None else "POST", here, private_hosts, headers or {}, body
        ) as response,
    ):
        _copy(response, here, answer, limits, give_up_at, None)
        return response.status_code, answer.getvalue()


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise FetchError(f"{url!r} is not a web address: {error}") from error
    if parsed.scheme not in _PORTS or not parsed.host:
        raise FetchError(f"{url!r} is not a web address: it starts with neither http:// nor https://")
    if parsed.userinfo:
        raise FetchError(f"{parsed.host}: its address holds a name or password; leave it out")
    return parsed


@contextmanager
def _answer(
    client: httpx.Client,
    method: str,
    url: httpx.URL,
    private_hosts: Collection[str],
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> Iterator[httpx.Response]:
    """Connect to the first address that answers, all of them judged beforehand."""
    addresses = _addresses(url, private_hosts)
    for address in addresses:
        request = client.build_request(
            method,
            url.copy_with(host=address),
            headers={
                "Host": url.netloc.decode("ascii"),
                # A compressed body could be a thousand times its size.
                "Accept-Encoding": "identity",
                "User-Agent": _AGENT,
                **headers,
            },
            content=body,
            extensions={"sni_hostname": url.raw_host.decode("ascii").strip("[]")},
        )
        try:
            response = client.send(request, stream=True)
        except httpx.ConnectError as error:
            if address == addresses[-1]:
                raise FetchError(f"{url}: cannot connect ({error})") from error
            continue
        except httpx.HTTPError as error:
            raise FetchError(f"{url}: {_in_words(error)}") from error
        try:
            yield response
        finally:
            response.close()
        return


def _addresses(url: httpx.URL, private_hosts: Collection[str]) -> list[str]:
    try:
        found = socket.getaddrinfo(
            url.raw_host.decode("ascii").strip("[]"), url.port or _PORTS[url.scheme], type=socket.SOCK_STREAM
        )
    except OSError as error:
        raise FetchError(f"{url}: the name cannot be resolved ({error.strerror})") from error
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    if url.host not in private_hosts:
        for address in addresses:
            if not _is_public(address):
                raise FetchError(f"{url}: {address} is not a public address; not connected to")
    return addresses


def _is_public(address: str) -> bool:
    ip = ip_address(address)
    return ip.is_global and not ip.is_multicast


def _validator(response: httpx.Response, name: str) -> str | None:
    # Sent back as it came: one that is absurdly long is not worth keeping.
    value = response.headers.get(name)
    return value if value and len(value) <= _LONGEST_VALIDATOR else None


def _write(
    response: httpx.Response,
    url: httpx.URL,
    target: IO[bytes],
    limits: Limits,
    give_up_at: float,
    on_progress: OnProgress | None,
) -> None:
    if response.status_code != httpx.codes.OK:
        raise FetchError(f"{url}: the server answered {response.status_code}")
    _copy(response, url, target, limits, give_up_at, on_progress)


def _copy(
    response: httpx.Response,
    url: httpx.URL,
    target: IO[bytes],
    limits: Limits,
    give_up_at: float,
    on_progress: OnProgress | None,
) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise FetchError(f"{url}: the server compressed its answer unasked; not used")
    announced = response.headers.get("content-length")
    of_bytes = int(announced) if announced else None
    done = 0
    try:
        for block in response.iter_raw():
            done += len(block)
            if done > limits.size_bytes:
                raise FetchError(f"{url}: larger than {limits.size_bytes} bytes; not fetched further")
            if time.monotonic() > give_up_at:
                raise FetchError(f"{url}: took longer than {limits.duration}; not fetched further")
            target.write(block)
            if on_progress is not None:
                on_progress(done, of_bytes)
    except httpx.HTTPError as error:
        raise FetchError(f"{url}: {_in_words(error)}") from error


def _in_words(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
