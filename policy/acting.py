"""What acts on a site that is for reading only, and what reads: told from a request, or its first bytes.

Pure: the table of sites is handed in. What it says of a site comes before what holds for every site.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, unquote

import yaml

from categories.entry_key import plain_path

LARGEST_READ_BYTES = 64 << 10
"""Up to this length a body is kept from the origin server until it has been read."""


class Act(StrEnum):
    """What a request does, beside reading."""

    PUBLISH = "publish"
    COMMENT = "comment"
    REACT = "react"
    MESSAGE = "message"
    UPLOAD = "upload"
    SIGN_IN = "sign_in"
    SUBMIT = "submit"
    """A form is sent."""
    CHANGE = "change"
    """A method that changes things, or an operation of which no more can be told."""

    @property
    def refusal(self) -> str:
        """Why it was stopped, in words for the log."""
        return _REFUSALS[self]


_REFUSALS = {
    Act.PUBLISH: "publishing is off",
    Act.COMMENT: "commenting is off",
    Act.REACT: "reacting is off",
    Act.MESSAGE: "sending messages is off",
    Act.UPLOAD: "uploading is off",
    Act.SIGN_IN: "signing in is off",
    Act.SUBMIT: "sending forms is off",
    Act.CHANGE: "changing things is off",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request on a site that is for reading only, without its body.

    `methods` are its own and those that its fields say to take instead; `path` is as it came, without
    the query. `media_type` is in lower case and without parameters, empty where none is given.
    `length_bytes` is of the body, 0 for none, None where it is not known beforehand. `is_coded`: the
    body is compressed. `is_navigation`: it loads a page, as far as anyone says. `is_upgrade`: it wants
    a WebSocket.
    """

    host: str
    methods: frozenset[str]
    path: str
    media_type: str = ""
    length_bytes: int | None = 0
    is_coded: bool = False
    is_navigation: bool = False
    is_upgrade: bool = False


@dataclass(frozen=True, slots=True)
class Operations:
    """Where a site takes GraphQL operations.

    `path` matches a whole path in its one spelling, without a slash at its end. `reads` matches the
    names of what reads, all others act; None: names are taken for what they say (`_sounds_like_acting`).
    `is_named_in_path`: the path's last part is the operation's name.
    """

    path: re.Pattern[str]
    reads: re.Pattern[str] | None = None
    is_named_in_path: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """What is known of a site: paths at which it is acted on, and where it takes operations."""

    acts: tuple[tuple[Act, re.Pattern[str]], ...] = ()
    operations: tuple[Operations, ...] = ()


type Sites = Mapping[str, Site]
"""Sites by their host names, which stand for their subdomains too."""

_READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json|application/(?:x-)?ndjson|text/json")
_FORM = "application/x-www-form-urlencoded"
_PLAIN_BODIES = frozenset({_FORM, "text/plain"})
_ANY_GRAPHQL = Operations(re.compile(r"(?:/.*)?/(?:graphql|gql)(?:/.*)?"))
_NAMES = ("operationName", "operation", "fb_api_req_friendly_name")
_READING_NAME = re.compile(r"(?!.*mutation).*(?:query|subscription)", re.IGNORECASE)
_ACTING_NAME = re.compile(
    r".*[Mm]utation.*|(?:[Cc]reate|[Aa]dd|[Uu]pdate|[Ee]dit|[Dd]elete|[Rr]emove|[Pp]ublish|[Ss]ubmit|[Ss]end"
    r"|[Uu]pload|[Uu]n(?:like|favorite|follow|retweet|save|subscribe)|[Ll]ike|[Ff]avorite|[Rr]eact|[Vv]ote|[Uu]pvote|[Dd]ownvote|[Rr]epost|[Rr]etweet"
    r"|[Ff]ollow|[Ss]ubscribe|[Jj]oin|[Ll]eave|[Ss]ave|[Ll]ogin|[Ss]ign[Ii]n|[Rr]egister)(?:[A-Z_].*)?"
)
# The last part of the operation that a name tells of, the most telling first.
_KINDS = (
    (re.compile("log_?in|sign_?in", re.IGNORECASE), Act.SIGN_IN),
    (re.compile("upload", re.IGNORECASE), Act.UPLOAD),
    (re.compile("comment|reply", re.IGNORECASE), Act.COMMENT),
    (re.compile("message|chat|typing", re.IGNORECASE), Act.MESSAGE),
    (re.compile("like|favou?rite|react|vote|follow|subscri|retweet|repost", re.IGNORECASE), Act.REACT),
    (re.compile("create|publish|submit|post|tweet|share", re.IGNORECASE), Act.PUBLISH),
)
# A GraphQL document (its specification, section 2.1): strings, comments, braces and names.
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\"""|\\|"(?!""))*"""|"(?:[^"\\\n\r]|\\.)*"|#[^\n\r]*|[{}]|[A-Za-z_][A-Za-z0-9_]*'
)


class _UnreadableError(Exception):
    """A body is not what its media type says; it is taken for acting."""


def judge(attempt: Attempt, sites: Sites) -> Act | Operations | None:
    """Return what a request does; None when it reads.

    Operations when its body has to be read for that (`judge_body`). In order:

    1. a WebSocket: what is said in it cannot be told from reading, and chats send by it
    2. GET, HEAD and OPTIONS without a body read
    3. a path at which the site's table says what is done
    4. GraphQL, by the site's table or by its path: by the operation, or acting where that is not to be had
    5. on any site: other methods than POST; uploads (multipart, typed or untyped binary, large, or of
       unknown length and no JSON); and forms that load a page
    """
    if attempt.is_upgrade:
        return Act.MESSAGE
    if attempt.methods <= _READING_METHODS and attempt.length_bytes == 0:
        return None
    site = _site_of(attempt.host, sites)
    path = plain_path(attempt.path).rstrip("/")
    act = next((act for act, expression in site.acts if expression.fullmatch(path)), None)
    if act is not None:
        return act
    operations = next((o for o in (*site.operations, _ANY_GRAPHQL) if o.path.fullmatch(path)), None)
    if operations is not None:
        return _judge_operations(attempt, operations)
    return _judge_anywhere(attempt)


def judge_body(body: bytes, media_type: str, operations: Operations) -> Act | None:
    """Return what the GraphQL operations of a body do; None when all of them read.

    A document acts when it defines a mutation. What only has a name is told by that.
    """
    try:
        acts = [_judge_operation(fields, operations) for fields in _operations_in(body, media_type)]
    except _UnreadableError:
        return Act.CHANGE
    return next((act for act in acts if act is not None), None)


def read_sites(text: str) -> Sites:
    """Read the table of sites: YAML, expressions for paths in lower case."""
    return {host: _site(fields) for host, fields in yaml.safe_load(text).items()}


def _site(fields: Mapping[str, list[dict[str, str]]]) -> Site:
    return Site(
        tuple((Act(row["does"]), re.compile(row["path"])) for row in fields.get("acts", ())),
        tuple(
            Operations(
                re.compile(row["path"]),
                re.compile(row["reads"]) if "reads" in row else None,
                row.get("named") == "in_path",
            )
            for row in fields.get("graphql", ())
        ),
    )


def _site_of(host: str, sites: Sites) -> Site:
    while host:
        if host in sites:
            return sites[host]
        host = host.partition(".")[2]
    return Site()


def _judge_operations(attempt: Attempt, operations: Operations) -> Act | Operations | None:
    if operations.is_named_in_path:
        return _judge_name(unquote(attempt.path.rpartition("/")[2]), operations)
    is_known_form = attempt.media_type == _FORM or _JSON.fullmatch(attempt.media_type) is not None
    length = attempt.length_bytes
    is_read = length is not None and 0 < length <= LARGEST_READ_BYTES and not attempt.is_coded
    return operations if is_known_form and is_read else Act.CHANGE


def _judge_anywhere(attempt: Attempt) -> Act | None:
    length, media_type = attempt.length_bytes, attempt.media_type
    is_json = _JSON.fullmatch(media_type) is not None
    is_typed = length != 0 and not is_json and media_type not in _PLAIN_BODIES
    is_large = length is not None and length > LARGEST_READ_BYTES
    if not attempt.methods <= _READING_METHODS | {"POST"}:
        return Act.CHANGE
    if is_typed or is_large or (length is None and not is_json):
        return Act.UPLOAD
    return Act.SUBMIT if attempt.is_navigation and not is_json else None


def _operations_in(body: bytes, media_type: str) -> Iterator[Mapping[str, object]]:
    """Yield the fields of each operation. Raises _UnreadableError."""
    try:
        text = body.decode("utf-8")
        if media_type == _FORM:
            yield from _form_operations(text)
            return
        read = json.loads(text, object_pairs_hook=_without_twins)
    # Of a thousand brackets, json says so by running out of stack.
    except (ValueError, RecursionError) as error:
        raise _UnreadableError from error
    batch = read if isinstance(read, list) else [read]
    if not batch or not all(isinstance(fields, dict) for fields in batch):
        raise _UnreadableError
    yield from batch


def _form_operations(text: str) -> Iterator[Mapping[str, object]]:
    # One by one: of a field that is given twice, either may be the one that counts.
    pairs = [(name, value) for name, value in parse_qsl(text) if name in ("query", *_NAMES)]
    if not pairs:
        raise _UnreadableError
    for name, value in pairs:
        yield {name: value}


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key is given twice, and either may be the one that counts")
    return fields


def _judge_operation(fields: Mapping[str, object], operations: Operations) -> Act | None:
    document = fields.get("query")
    names = [name for key in _NAMES if isinstance(name := fields.get(key), str) and name]
    if isinstance(document, str) and document:
        return _kind_of(names[0] if names else document) if _defines_a_mutation(document) else None
    if not names:
        return Act.CHANGE
    acts = (_judge_name(name, operations) for name in names)
    return next((act for act in acts if act is not None), None)


def _judge_name(name: str, operations: Operations) -> Act | None:
    if operations.reads is not None:
        return None if operations.reads.fullmatch(name) else _kind_of(name)
    return _kind_of(name) if _sounds_like_acting(name) else None


def _sounds_like_acting(name: str) -> bool:
    return not _READING_NAME.fullmatch(name) and _ACTING_NAME.fullmatch(name) is not None


def _kind_of(name: str) -> Act:
    return next((act for expression, act in _KINDS if expression.search(name)), Act.CHANGE)


def _defines_a_mutation(document: str) -> bool:
    depth = 0
    for word in _TOKEN.findall(document):
        if word == "{":
            depth += 1
        elif word == "}":
            depth = max(0, depth - 1)
        elif word == "mutation" and depth == 0:
            return True
    return False
