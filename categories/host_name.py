"""Host names in their one canonical spelling, as the URL Standard has it."""

import functools
import re
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import ada_url

if TYPE_CHECKING:
    import tldextract

_MAX_LENGTH = 253
_MAX_LABEL_LENGTH = 63
# What is canonical already: plain labels, the last one no number (or it is an IPv4 address).
_PLAIN_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z][a-z0-9_-]{0,62}")
# In a URL these end the host or are skipped by the parser, so a host that holds one is not one host.
_NOT_IN_A_HOST = re.compile(r"[\x00-\x20\x7f/\\?#@]")
# RFC 6052: the last 32 bits are the IPv4 address that a translator connects to.
_TRANSLATED = "[64:ff9b::"


class HostNameError(ValueError):
    """A text is not a host name or IP address that a visit could have."""


def canonical_host(text: str) -> str:
    """Return a host's one spelling: what the URL Standard's host parser and serialiser make of it.

    A lower-case name in A-labels; an IPv4 address, however it was written, as a dotted quad; an
    IPv6 address compressed, in brackets. One trailing dot is taken off. Two deviations from the URL
    Standard: an IPv4-mapped address (::ffff:0:0/96) is that IPv4 address, since connecting to
    either reaches the same host; names that no resolver accepts (empty or overlong labels) raise
    HostNameError.
    """
    if len(text) <= _MAX_LENGTH and "xn--" not in text and _PLAIN_NAME.fullmatch(text):
        return text
    return _parsed_host(text)


def _parsed_host(text: str) -> str:
    shown = text if len(text) <= 80 else text[:80] + "..."
    found = _NOT_IN_A_HOST.search(text)
    if found:
        raise HostNameError(f"{shown!r} is not a host name: it holds {found.group()!r}")
    if ":" in text and not text.startswith("["):
        raise HostNameError(f"{shown!r} is not a host name: an IPv6 address needs brackets, a port is extra")
    try:
        host: str = ada_url.URL(f"http://{text}/").hostname
    except ValueError as error:
        raise HostNameError(f"{shown!r} is not a host name") from error
    host = host.removesuffix(".")
    if host.startswith("["):
        if text[-1] != "]":
            raise HostNameError(f"{shown!r} is not a host name: something follows the address")
        mapped = IPv6Address(host[1:-1]).ipv4_mapped
        return host if mapped is None else str(mapped)
    if len(host) > _MAX_LENGTH:
        raise HostNameError(f"{shown!r} is not a host name: it is longer than {_MAX_LENGTH} characters")
    for label in host.split("."):
        if not label:
            raise HostNameError(f"{shown!r} is not a host name: a label is empty")
        if len(label) > _MAX_LABEL_LENGTH:
            raise HostNameError(
                f"{shown!r} is not a host name: a label is longer than {_MAX_LABEL_LENGTH} characters"
            )
    return host


def is_address(host: str) -> bool:
    """Whether a canonical host is an IP address and not a name."""
    return host[-1] == "]" or host[host.rfind(".") + 1 :].isdecimal()


def translated_ipv4(host: str) -> str | None:
    """Return the IPv4 address that a canonical host of 64:ff9b::/96 leads to; None for any other."""
    if not host.startswith(_TRANSLATED):
        return None
    packed = IPv6Address(host[1:-1]).packed
    return str(IPv4Address(packed[-4:])) if not any(packed[4:12]) else None


@functools.cache
def _extractor() -> "tldextract.TLDExtract":
    # It brings an HTTP client along, which most of those who import this module never need.
    import tldextract  # noqa: PLC0415

    # The list that is bundled with the library: never the network, never a cache folder.
    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


def registrable_domain(host: str) -> str | None:
    """Return the public suffix and one label more of a canonical host.

    None for an IP address and for a public suffix itself. As the URL Standard has it, an unknown
    top-level domain is a public suffix.
    """
    if is_address(host):
        return None
    found = _extractor()(host)
    if found.suffix:
        return found.top_domain_under_public_suffix or None
    labels = host.rsplit(".", 2)
    return ".".join(labels[-2:]) if len(labels) > 1 else None
