"""Downloads that a rule of file types stops: told from an answer's head, or from its first bytes."""

import re
import zlib
from dataclasses import dataclass, replace

from mitmproxy import http

from policy.decision import Decision, Verdict
from policy.file_types import BEGINNING_BYTES, FILE_TYPES, Download, refusal_of
from policy.inspecting import decide_download, rules_for_downloads
from policy.town_policy import Policy, Rule
from proxy_addons.gate import visible_path
from proxy_addons.judge import Judgement

SAYS = "this kind of file is not allowed from this site"
"""Why a script was not answered."""
_DECODERS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_FROM_THE_FIRST_BYTE = re.compile(r"\s*bytes\s+0-")


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer's head says of the file in it.

    `coding` is its Content-Encoding, empty for none. `begins_at_first_byte`: it is no later part of one.
    """

    download: Download
    coding: str
    begins_at_first_byte: bool


def may_be_stopped(judgement: Judgement, policy: Policy) -> bool:
    """Whether any rule can stop a download of this visit."""
    return any(rule.action is Verdict.BLOCK for rule in _rules(judgement, policy))


def ask_for_what_can_be_told(request: http.Request) -> None:
    """Have an origin server compress in a way that can be looked into, if at all."""
    accepted = request.headers.get("Accept-Encoding", "")
    if accepted:
        request.headers["Accept-Encoding"] = "gzip" if "gzip" in accepted.lower() else "identity"


def head_of(request: http.Request, response: http.Response) -> Head:
    """Read the head of an answer."""
    fields = response.headers
    range_of = fields.get("Content-Range", "")
    coding = fields.get("Content-Encoding", "").strip().lower()
    return Head(
        Download(
            visible_path(request), fields.get("Content-Type", ""), fields.get("Content-Disposition", "")
        ),
        "" if coding == "identity" else coding,
        response.status_code != 206 or _FROM_THE_FIRST_BYTE.match(range_of) is not None,
    )


def held_bytes(head: Head, judgement: Judgement, policy: Policy) -> int:
    """Return how much of a body must be seen to decide about it; 0 when its head is enough."""
    is_decided = _decide(head.download.named_types, judgement, policy) is not None
    return 0 if is_decided or _is_told(head) else BEGINNING_BYTES


def stopped(
    head: Head, beginning: bytes, judgement: Judgement, policy: Policy
) -> tuple[Judgement, str] | None:
    """Return the judgement of a download that a rule stops, and why; None when it may go on.

    One of which nothing can be told, because its beginning is not in it or is compressed in a way that was
    not asked for, is taken for what a rule stops.
    """
    download, types = head.download, head.download.named_types
    if not _is_told(head):
        plain = _decoded(beginning, head.coding) if head.begins_at_first_byte else None
        types = frozenset(FILE_TYPES) if plain is None else download.types_of(plain)
    decision = _decide(types, judgement, policy)
    if decision is None:
        return None
    if len(types) == len(FILE_TYPES):
        decision = replace(decision, file_types=())
    return replace(judgement, decision=decision), refusal_of(frozenset(decision.file_types))


def _is_told(head: Head) -> bool:
    download = head.download
    return download.is_told if head.begins_at_first_byte else download.is_told_without_beginning


def _decide(types: frozenset[str], judgement: Judgement, policy: Policy) -> Decision | None:
    return decide_download(types, _rules(judgement, policy), judgement.visit, policy)


def _rules(judgement: Judgement, policy: Policy) -> tuple[Rule, ...]:
    return rules_for_downloads(judgement.visit, judgement.decision, policy)


def _decoded(beginning: bytes, coding: str) -> bytes | None:
    """Return the first bytes of what was compressed; None when they cannot be had."""
    if not coding:
        return beginning
    if coding not in _DECODERS:
        return None
    try:
        plain = zlib.decompressobj(_DECODERS[coding]).decompress(beginning, BEGINNING_BYTES)
    except zlib.error:
        return None
    # Not all of it, and yet less than tells: padded, so that nothing is seen.
    is_padded = len(beginning) >= BEGINNING_BYTES and len(plain) < BEGINNING_BYTES
    return None if is_padded else plain
