"""Downloads that a rule of file types or a limit stops: told from an answer's head, or its first bytes."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mitmproxy import http
from mitmproxy.net.http.http1 import expected_http_body_size
from msgspec import structs

from policy.decision import Decision, Verdict
from policy.file_types import BEGINNING_BYTES, FILE_TYPES, Download
from policy.inspecting import decide_download, rules_for_downloads
from policy.limit_words import refusal_of
from policy.limiting import Passed, held_by, judge_download, most_bytes, never_passed
from policy.town_policy import Limit, Policy, Rule
from proxy_addons.gate import visible_path
from proxy_addons.judge import Judgement
from proxy_addons.visit_log import OpenVisit

SAYS = "this kind of file is not allowed from this site"
SAYS_OVER_LIMIT = "this download is over a limit"
"""Why a script was not answered."""
_DECODERS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_PART = re.compile(r"-(?P<last>[0-9]{1,18})\s*/\s*(?P<whole>[0-9]{1,18}|\*)\s*\Z")
_FROM_THE_FIRST_BYTE = re.compile(r"\s*bytes\s+0-")


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer's head says of the file in it.

    `coding` is its Content-Encoding, empty for none. `begins_at_first_byte`: it is no later part of one.
    `size_bytes` is of the whole file, or of so much of it as its head tells; None where it tells nothing.
    `has_length`: it says how much of it comes.
    """

    download: Download
    coding: str
    begins_at_first_byte: bool
    size_bytes: int | None = None
    has_length: bool = False


@dataclass(slots=True)
class Carried:
    """What has come of a download of unknown length, and the limit of sizes that it comes to first.

    Its bytes count for `visit`. Without a limit any more it goes on to its end.
    """

    limit: Limit | None
    judgement: Judgement
    flow: http.HTTPFlow
    visit: OpenVisit
    size_bytes: int = 0

    def goes_over(self, data: bytes) -> Limit | None:
        """Return the limit that it is over with these bytes, which count; None where it is not."""
        self.size_bytes += len(data)
        limit = self.limit
        is_over = limit is not None and limit.larger_than is not None and self.size_bytes > limit.larger_than
        return limit if is_over else None


def may_be_stopped(judgement: Judgement, policy: Policy) -> bool:
    """Whether any rule, or limit, can stop a download of this visit."""
    return bool(judgement.decision.limits) or names_types(judgement, policy)


def names_types(judgement: Judgement, policy: Policy) -> bool:
    """Whether a download of this visit can be stopped for its kind."""
    is_limited = any(limit.file_types for limit in held_by(judgement.decision, policy))
    return is_limited or any(rule.action is Verdict.BLOCK for rule in _rules(judgement, policy))


def ask_for_what_can_be_told(request: http.Request, judgement: Judgement, policy: Policy) -> None:
    """Have an origin server compress in a way that can be looked into, if at all; and where sizes are
    limited, not answer with several parts of a file at once, whose places in it its head does not say."""
    accepted = request.headers.get("Accept-Encoding", "")
    if accepted and names_types(judgement, policy):
        request.headers["Accept-Encoding"] = "gzip" if "gzip" in accepted.lower() else "identity"
    if "," in request.headers.get("Range", "") and most_bytes(judgement.decision, policy) is not None:
        # RFC 9110 section 14.2: whoever asks for parts copes with the whole.
        del request.headers["Range"]


def head_of(request: http.Request, response: http.Response) -> Head:
    """Read the head of an answer."""
    fields = response.headers
    range_of = fields.get("Content-Range", "")
    coding = fields.get("Content-Encoding", "").strip().lower()
    is_part = response.status_code == 206
    length = _length_of(request, response)
    sizes = [] if length is None else [length]
    part = _PART.search(range_of) if is_part else None
    if part is not None:
        # A part of a file is as large as the file: who loads it in parts loads it all. Where that is not
        # said, it is at least as large as up to where the part ends.
        sizes.append(int(part["whole"]) if part["whole"] != "*" else int(part["last"]) + 1)
    return Head(
        Download(
            visible_path(request), fields.get("Content-Type", ""), fields.get("Content-Disposition", "")
        ),
        "" if coding == "identity" else coding,
        not is_part or _FROM_THE_FIRST_BYTE.match(range_of) is not None,
        # Whichever is more: an origin server may say one thing and send another.
        max(sizes, default=None),
        length is not None,
    )


def _length_of(request: http.Request, response: http.Response) -> int | None:
    """Return how many bytes a body has; None where that is not said."""
    try:
        length = expected_http_body_size(request, response)
    except ValueError:
        return None
    return length if length is not None and length >= 0 else None


def held_bytes(
    head: Head,
    judgement: Judgement,
    policy: Policy,
    passed: Passed = never_passed,
    *,
    may_be_let_through: bool = False,
) -> int:
    """Return how much of a body must be seen to decide about it; 0 when its head is enough.

    What stops it by its head does not, where that may be lifted: its beginning may tell of a kind that is
    stopped all the same.
    """
    if _is_told(head) or not names_types(judgement, policy):
        return 0
    is_decided = _decide(head, head.download.named_types, judgement, policy, passed) is not None
    return 0 if is_decided and not may_be_let_through else BEGINNING_BYTES


def stopped(
    head: Head,
    beginning: bytes,
    judgement: Judgement,
    policy: Policy,
    passed: Passed = never_passed,
    lifted: Sequence[Decision] = (),
) -> tuple[Judgement, str] | None:
    """Return the judgement of a download that a rule or a limit stops, and why; None when it may go on.

    `passed` says which limits its client was warned of, and went on. `lifted` is what has stopped it and
    access to one download lifts: the rules among it, and with whichever of it all limits but those that warn.

    One of which nothing can be told, because its beginning is not in it or is compressed in a way that was
    not asked for, is taken for what a rule stops.
    """
    download, types = head.download, head.download.named_types
    if not _is_told(head):
        plain = _decoded(beginning, head.coding) if head.begins_at_first_byte else None
        types = frozenset(FILE_TYPES) if plain is None else download.types_of(plain)
    decision = _decide(head, types, judgement, policy, passed, lifted)
    if decision is None:
        return None
    if len(types) == len(FILE_TYPES):
        decision = replace(decision, file_types=())
    refusal = refusal_of(decision, policy)
    return structs.replace(judgement, decision=decision), refusal


def _is_told(head: Head) -> bool:
    download = head.download
    return download.is_told if head.begins_at_first_byte else download.is_told_without_beginning


def _decide(
    head: Head,
    types: frozenset[str],
    judgement: Judgement,
    policy: Policy,
    passed: Passed,
    lifted: Sequence[Decision] = (),
) -> Decision | None:
    visit, decision = judgement.visit, judgement.decision
    lifted_rules = {one.rule for one in lifted}
    # A part by which what was let through is taken up again does not tell that another rule stops it.
    is_untold = len(types) == len(FILE_TYPES)
    rules = () if lifted and is_untold else _rules(judgement, policy)
    rules = tuple([rule for rule in rules if rule.id not in lifted_rules])
    return decide_download(types, rules, visit, policy) or judge_download(
        *(visit, decision, policy, head.size_bytes, types, passed), is_let_through=bool(lifted)
    )


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
