"""Entries as keys of a trie, made so that a key's listed prefixes are what covers it.

www.cardroom.example              elpmaxe.moordrac.www.
192.0.2.7                         192.0.2.7.
cardroom.example/tables/7.html    elpmaxe.moordrac./tables/7.html/

Names are reversed, letter by letter, and end in a dot, paths end in a slash, so a key that is a prefix
of another always ends at a boundary: `elpmaxe.moordrac.` covers the first name above, and never
notcardroom.example. An address is not reversed; no name ends in a label that is a number, so the two
are never mistaken for one another.
"""

import re
from urllib.parse import unquote

import ada_url

from categories.host_name import is_address

_MAY_END_AN_ADDRESS = frozenset("0123456789]")
# Segments that neither start with a dot (they might climb) nor hold an escape.
_PLAIN_PATH = re.compile(r"(?:/[a-z0-9_~-][a-z0-9_~.,;:=@!$&'()*+-]*)*/?")
# squidGuard's rule for URL entries, which its lists are written for: these say nothing about the site.
_SERVICE_LABEL = re.compile(r"(?:www|web|ftp)[0-9]*\.(?=[^.]+\.)")
_SLASHES = re.compile("//+")


def host_key(host: str) -> str:
    """Return the key of a canonical host."""
    if host[-1] in _MAY_END_AN_ADDRESS and is_address(host):
        return host + "."
    return host[::-1] + "."


def url_key(host: str, path: str) -> str:
    """Return the key of a URL: of a canonical host and a path.

    The path, any text, is brought to one spelling: dot segments resolved, escapes undone, lower case,
    single slashes, without query and fragment.
    """
    return host_key(host) + _path_key(path)


def _path_key(path: str) -> str:
    path = path.lower()
    if not _PLAIN_PATH.fullmatch(path):
        # Bytes that are no UTF-8 may come as surrogates, which no URL and no trie can hold.
        text = path.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        path = unquote(ada_url.URL(f"http://host/{text.removeprefix('/')}").pathname).lower()
        # A key is one line of the kept entries.
        path = _SLASHES.sub("/", path).replace("\n", "%0a")
    return path if path.endswith("/") else path + "/"


def without_service_label(host: str) -> str:
    """Return the host that URL entries are written for: without a leading www, web3 or ftp."""
    return host if is_address(host) else _SERVICE_LABEL.sub("", host, count=1)


def entry_of_url_key(key: str, host: str) -> str:
    """Return a URL entry as people write it, from its key and the host that the key begins with."""
    return host + (key[len(host) + 1 : -1] or "/")
