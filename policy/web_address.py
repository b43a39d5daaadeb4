"""A web address as people write one, taken apart as far as a visit needs."""

from dataclasses import dataclass

import ada_url

from categories.host_name import canonical_host

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WebAddress:
    """An address. `path` begins with a slash; `query` with a question mark, unless there is none.

    Whether the path of https is seen depends on the policy (`policy.judging`).
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""


def parse_web_address(text: str) -> WebAddress:
    """Read "https://host/path" as the URL Standard does; a bare "host" or "host/path" means https.

    Raises ValueError with a sentence for the person who wrote it.
    """
    written = text.strip()
    try:
        url = ada_url.URL(written if "://" in written else f"https://{written}")
    except ValueError as error:
        raise ValueError(f"{text!r} is not a web address; write it like https://host/path") from error
    scheme = url.protocol.removesuffix(":")
    if scheme not in _PORTS:
        raise ValueError(f"{text!r}: the gate judges http and https, not {scheme}")
    if url.username or url.password:
        raise ValueError(f"{text!r} holds a name or password; leave it out")
    return WebAddress(
        scheme=scheme,
        host=canonical_host(url.hostname),
        port=int(url.port) if url.port else _PORTS[scheme],
        path=url.pathname,
        query=url.search,
    )


def address_of_site(scheme: str, host: str, port: int) -> str:
    """Return where addresses of a site begin, like "https://host:8443"; the scheme's own port is left out."""
    return f"{scheme}://{host}" if port == _PORTS[scheme] else f"{scheme}://{host}:{port}"
