"""Sites that carry another site: translators, caches and archives show what is listed by its own name.

A carrier is named with how it says which site it shows. Only these are looked into: a link to a
listed site in some other site's address (sharing, signing in, search) carries nothing.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import parse_qs, unquote

import ada_url

from categories.host_name import HostNameError, canonical_host

type Reader = Callable[[str, str], Iterable[str]]
"""From a carrier's own part of the host (without its name) and the request's target to URLs."""

_MOST_NESTED = 3
"""A translated page of an archive of a cache; what is deeper is not looked at."""
_MOST_SHOWN = 8
"""URLs that one address may name: a carrier takes one of them, and which one is its own affair."""
_FIRST_SLASHES = re.compile(r"^[/\\]+")


def carried_hosts(host: str, target: str) -> Iterator[str]:
    """Yield the canonical hosts that a visit to this one may show, outermost first.

    `target` is the path with its query, empty where it cannot be seen. What names no site that can be
    read yields nothing.
    """
    showing = [(host, target)]
    if not _carried_urls(host, target):
        # Nearly every host.
        return
    for _ in range(_MOST_NESTED):
        shown = []
        for inner in (url for outer in showing for url in _carried_urls(*outer)):
            try:
                url = ada_url.URL(inner if "://" in inner else f"http://{inner}")
                shown.append((canonical_host(url.hostname), url.pathname + url.search))
            except (HostNameError, ValueError):
                continue
        showing = list(dict.fromkeys(shown))[:_MOST_SHOWN]
        yield from dict.fromkeys(host for host, _ in showing)


def _carried_urls(host: str, target: str) -> Iterable[str]:
    name = host
    while name:
        reader = CARRIERS.get(name)
        if reader is not None:
            return reader(host.removesuffix(name).removesuffix("."), target)
        name = name.partition(".")[2]
    return ()


def _in_label(label: str, _target: str) -> Iterable[str]:
    # A dot is written as a hyphen there, and a hyphen as two.
    named = ".".join(label.replace("--", "\0").split("-")).replace("\0", "-")
    return (named,) if named else ()


def _in_query(*fields: str) -> Reader:
    def read(_label: str, target: str) -> Iterable[str]:
        asked = parse_qs(target.partition("?")[2])
        return [value.strip() for field in fields for value in asked.get(field, ()) if value.strip()]

    return read


def _in_path(before: str) -> Reader:
    pattern = re.compile(before + r"(?P<url>(?:[a-z]+:/{1,2})?[^/]+\..*)", re.IGNORECASE)

    def read(_label: str, target: str) -> Iterable[str]:
        found = pattern.match(_plain(target))
        # Servers take one slash after the scheme for two.
        return [re.sub(r"^([a-z]+:)/{1,2}", r"\1//", found["url"], flags=re.IGNORECASE)] if found else ()

    return read


def _plain(target: str) -> str:
    """Return a target with its escapes undone, one slash at its beginning and no dot segment before names."""
    plain = _FIRST_SLASHES.sub("/", unquote(target).replace("\\", "/"))
    while plain.startswith(("/./", "/../")):
        plain = _FIRST_SLASHES.sub("/", plain[plain.index("/", 1) :])
    return plain


def _either(*readers: Reader) -> Reader:
    def read(label: str, target: str) -> Iterable[str]:
        return [url for reader in readers for url in reader(label, target)]

    return read


def _in_cache(_label: str, target: str) -> Iterable[str]:
    asked = parse_qs(target.partition("?")[2]).get("q", ())
    # cache:CODE:URL, the code of which may be left out
    found = (re.match(r"cache:(?:[\w-]{12}:)?(?P<url>\S+)", value) for value in asked)
    return [match["url"] for match in found if match]


_ARCHIVED = _in_path(r"/(?:newest/|oldest/|[0-9]{4,14}/|o/[^/]+/|https?%3a)?")

CARRIERS: Mapping[str, Reader] = {
    "translate.goog": _in_label,
    "translate.google.com": _in_query("u", "url"),
    "www.translatetheweb.com": _in_query("a"),
    "www.microsofttranslator.com": _in_query("a"),
    "translate.yandex.com": _in_query("url"),
    "webcache.googleusercontent.com": _in_cache,
    "cc.bingj.com": _in_query("u"),
    "web.archive.org": _in_path(r"/(?:web|save)/(?:[0-9]{1,14}(?:[a-z]{2}_)?/|\*/)?"),
    "archive.ph": _ARCHIVED,
    "archive.today": _ARCHIVED,
    "archive.is": _ARCHIVED,
    "archive.md": _ARCHIVED,
    "archive.li": _ARCHIVED,
    "archive.vn": _ARCHIVED,
    "archive.fo": _ARCHIVED,
    "www.google.com": _in_path(r"/amp/(?:s/)?"),
    "cdn.ampproject.org": _either(_in_path(r"/[civ]/(?:s/)?"), _in_label),
    "12ft.io": _either(_in_query("q"), _in_path(r"/(?:proxy/)?")),
    "r.jina.ai": _in_path(r"/"),
}
