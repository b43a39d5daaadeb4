"""Sites that carry another site: translators, caches and archives show what is listed by its own name.

A carrier is named with how it says which site it shows. Only these are looked into: a link to a
listed site in some other site's address (sharing, signing in, search) carries nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import parse_qs, unquote

import ada_url

from categories.host_name import HostNameError, canonical_host

type Reader = Callable[[str, str], str | None]
"""From a carrier's own part of the host (without its name) and the request's target to a URL."""

_MOST_NESTED = 3
"""A translated page of an archive of a cache; what is deeper is not looked at."""


def carried_hosts(host: str, target: str) -> Iterator[str]:
    """Yield the canonical hosts that a visit to this one shows, outermost first.

    `target` is the path with its query, empty where it cannot be seen. What names no site that can be
    read yields nothing.
    """
    for _ in range(_MOST_NESTED):
        inner = _carried_url(host, target)
        if inner is None:
            return
        try:
            url = ada_url.URL(inner if "://" in inner else f"http://{inner}")
            host = canonical_host(url.hostname)
        except (HostNameError, ValueError):
            return
        target = url.pathname + url.search
        yield host


def _carried_url(host: str, target: str) -> str | None:
    name, before = host, ""
    while name:
        reader = CARRIERS.get(name)
        if reader is not None:
            return reader(before.removesuffix("."), target)
        label, _, name = name.partition(".")
        before += f"{label}."
    return None


def _in_label(label: str, _target: str) -> str | None:
    # A dot is written as a hyphen there, and a hyphen as two.
    return ".".join(label.replace("--", "\0").split("-")).replace("\0", "-") or None


def _in_query(*fields: str) -> Reader:
    def read(_label: str, target: str) -> str | None:
        asked = parse_qs(target.partition("?")[2])
        return next((asked[field][0] for field in fields if field in asked), None)

    return read


def _in_path(before: str) -> Reader:
    pattern = re.compile(before + r"(?P<url>(?:[a-z]+:/{1,2})?[^/]+\..*)", re.IGNORECASE)

    def read(_label: str, target: str) -> str | None:
        found = pattern.match(unquote(target))
        # Servers take one slash after the scheme for two.
        return re.sub(r"^([a-z]+:)/{1,2}", r"\1//", found["url"], flags=re.IGNORECASE) if found else None

    return read


def _either(*readers: Reader) -> Reader:
    def read(label: str, target: str) -> str | None:
        return next((url for reader in readers if (url := reader(label, target)) is not None), None)

    return read


def _in_cache(_label: str, target: str) -> str | None:
    asked = parse_qs(target.partition("?")[2]).get("q", [""])[0]
    # cache:CODE:URL, the code of which may be left out
    found = re.match(r"cache:(?:[\w-]{12}:)?(?P<url>\S+)", asked)
    return found["url"] if found else None


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
    "cdn.ampproject.org": _either(_in_path(r"/[civ]/(?:s/)?"), _in_label),
    "12ft.io": _either(_in_query("q"), _in_path(r"/(?:proxy/)?")),
    "r.jina.ai": _in_path(r"/"),
}
