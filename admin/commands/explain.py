"""`towngate explain`: why a visit would be allowed or blocked, by the code that decides."""

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import click
from msgspec import structs
from rich.console import Console
from rich.table import Table
from rich.text import Text

from admin.command import CommandError
from admin.commands.lists import lists_of
from admin.commands.policy import published_policy
from admin.held_limits import HeldLimit, held_limits, why_none_holds
from admin.people_file import read_people
from admin.quota_use import Left, left_on
from admin.state_folder import StateFolder
from categories.first_visits import FirstVisits, FirstVisitsError
from categories.taxonomy import taxonomy
from policy import notation
from policy.amounts import NO_BREAK
from policy.correction import Corrections
from policy.deciding import Step
from policy.decision import Decision, Lane, Verdict
from policy.document import load_document
from policy.file_types import Download
from policy.identity import Identities
from policy.inspecting import StoppedFiles, decide_download, rules_for_downloads, stopped_files
from policy.ip import parse_ip
from policy.judging import Judged, SiteListing, is_never_inspected, judge
from policy.limiting import held_by
from policy.problem import PolicyError
from policy.state import State
from policy.town_policy import Policy
from policy.town_time import ENGLISH, zone_of
from policy.visit import Client, Visit
from policy.web_address import parse_web_address

_console = Console(highlight=False, soft_wrap=True)
_VERDICTS = {
    Verdict.ALLOW: "Allowed",
    Verdict.VIEW_ONLY: "Read only",
    Verdict.WARN: "Warned",
    Verdict.BLOCK: "Blocked",
}


@click.command(
    epilog='Example: towngate explain https://cardroom.example/ --as clerk --at "2026-03-02 10:00"'
)
@click.argument("url")
@click.option("--as", "who", required=True, help="A person's id, or the IP address of a client.")
@click.option("--at", "when", help='The town\'s time, like "2026-03-02 10:00".  [default: now]')
@click.option("--state", type=Path, default=Path("var"), show_default=True, help="State folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def explain(url: str, who: str, when: str | None, state: Path, as_json: bool) -> None:
    """Say what the proxy would do with a visit, and show each step and rule on the way.

    Over https the path is not seen, but where a rule has the site opened: the visit is then judged twice,
    without its path and with it. Where rules stop kinds of files, it says which, and whether the name in
    the address is one of them; what a file really is, only its download tells. Limits that hold for the visit
    are named, and what is left of those that are quotas; whether a download is over one, only it tells.

    Uses the policy, exemptions and lists in force. Exit code 0 whatever the answer is.
    """
    folder = StateFolder(state)
    policy, in_force, corrections = _in_force(folder)
    first_visits = _first_visits(folder)
    try:
        address = parse_web_address(url)
        at = notation.moment(when, zone_of(policy)) if when else datetime.now(UTC)
    except ValueError as error:
        raise CommandError(str(error)) from error
    client = _client(who, policy, at)
    with lists_of(folder) as (lists, name):
        visit = Visit(client, address.scheme, address.host, address.port, address.path, at)
        listing = SiteListing(lists, corrections, policy, first_visits)
        judged = judge(visit, policy, in_force, listing, address.query)
        lists_version = lists.version
    is_never = is_never_inspected(judged[0], policy, in_force)
    files = _Files.of(judged[-1], policy, in_force, address.path)
    limits = _limits(judged[-1].decision, policy, folder, client, at)
    none_holds = "" if limits else why_none_holds(judged[-1].decision, policy)
    if as_json:
        versions = {"policy": policy.version, "categories": lists_version}
        told = _as_json(judged, is_never_inspected=is_never) | files.as_json() | _limits_as_json(limits)
        click.echo(json.dumps(told | {"no_limits": none_holds or None} | versions))
    else:
        lines = [*files.lines(), *_of_limits(limits)]
        if none_holds:
            lines.append(Text(f"Limits: {none_holds}"))
        _print(judged, policy, name, lines, is_never_inspected=is_never)


def _limits(
    decision: Decision, policy: Policy, folder: StateFolder, client: Client, at: datetime
) -> tuple[HeldLimit, ...]:
    limits = held_by(decision, policy)
    left = left_on(at.astimezone(zone_of(policy)).date(), folder.spool, limits, client)
    used_up = next((one.limit.id for one in left if one.is_used_up), None)
    return held_limits(limits, left, used_up)


def _in_force(folder: StateFolder) -> tuple[Policy, State, Corrections]:
    snapshot = published_policy(folder)
    if snapshot is not None:
        return snapshot.policy, snapshot.state(), Corrections(snapshot.corrections)
    try:
        text = folder.policy_document.read_text("utf-8")
        policy = load_document(text, taxonomy(), read_people(folder.people_list)).policy
    except FileNotFoundError as error:
        raise CommandError(
            f"no policy was published in {folder.root}; start `towngate run`, or name another --state"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{folder.policy_document}: {error}") from error
    except PolicyError as error:
        raise CommandError(
            f"no policy was published, and {folder.policy_document} has problems; see them with"
            f" `towngate policy check {folder.policy_document}`"
        ) from error
    click.echo(f"Nothing was published yet; this is by {folder.policy_document} alone.", err=True)
    return policy, State(), Corrections()


def _first_visits(folder: StateFolder) -> FirstVisits | None:
    try:
        return FirstVisits.from_bytes(folder.first_visits.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, FirstVisitsError) as error:
        raise CommandError(f"{folder.first_visits}: {error}; the admin process writes it anew") from error


def _client(who: str, policy: Policy, at: datetime) -> Client:
    identities = Identities(policy)
    if who in policy.people:
        return identities.client_of(who, at)
    try:
        return identities.identify(str(parse_ip(who)), at=at)
    except ValueError as error:
        near = difflib.get_close_matches(who.lower(), policy.people, n=1)
        nearest = f" (nearest: {near[0]!r})" if near else ""
        raise CommandError(
            f"{who!r} is neither a person of the policy in force{nearest}, which leaves out who was closed,"
            " nor an IP address"
        ) from error


@dataclass(frozen=True, slots=True)
class _Files:
    """What a visit that is allowed cannot download, and what becomes of a file by the name in its address.

    `named` are the file's types by its name, `stopped_by` the rule that stops it for them, if one does.
    """

    stopped: tuple[StoppedFiles, ...]
    name: str
    named: frozenset[str]
    stopped_by: str | None

    @classmethod
    def of(cls, judged: Judged, policy: Policy, state: State, path: str | None) -> "_Files":
        visit, decision = judged.visit, judged.decision
        stopped = stopped_files(visit, decision, policy, state)
        named = Download(path or "").named_types
        rules = rules_for_downloads(visit, decision, policy) if stopped else ()
        found = decide_download(named, rules, visit, policy)
        name = (path or "").rpartition("/")[2]
        return cls(stopped, name, named, found.rule if found else None)

    def as_json(self) -> dict[str, object]:
        stopped = [{"rule": files.rule, "types": sorted(files.types)} for files in self.stopped]
        return {"files": {"stopped": stopped, "named": sorted(self.named), "stopped_by": self.stopped_by}}

    def lines(self) -> Iterator[Text]:
        for files in self.stopped:
            yield Text(f"Files are stopped by rule {files.rule}: {', '.join(sorted(files.types))}")
        if self.stopped_by is not None:
            said = f"A file by the name of {self.name} is stopped, by rule {self.stopped_by}"
            yield Text(f"{said}: {', '.join(sorted(self.named))}", "bold")


def _of_limits(limits: Iterable[HeldLimit]) -> Iterator[Text]:
    for held in limits:
        yield Text(f"Limit {held.limit.id} holds: {held.words}")
        if held.left is not None:
            yield Text(f"Left of it on that day: {held.left.words}", "bold" if held.left.is_used_up else "")
        if held.stops:
            yield Text(held.done, "bold")


def _limits_as_json(limits: Iterable[HeldLimit]) -> dict[str, object]:
    return {
        "limits": [
            {
                "id": held.limit.id,
                "says": held.words.replace(NO_BREAK, " "),
                "stops": held.stops,
                "quota": _left_as_json(held.left) if held.left is not None else None,
            }
            for held in limits
        ]
    }


def _left_as_json(left: Left) -> dict[str, object]:
    return {
        "left_bytes": left.left.size_bytes,
        "left_seconds": left.left.duration.total_seconds(),
        "is_used_up": left.is_used_up,
    }


def _as_json(judged: Sequence[Judged], *, is_never_inspected: bool) -> dict[str, object]:
    outside, last = judged[0], judged[-1]
    lane = last.lane
    return {
        **_judged_as_json(last),
        "carried": lane.value if lane else None,
        "opened_for": list(outside.decision.inspect_rules),
        "is_never_inspected": is_never_inspected,
        "outside": _judged_as_json(outside) if len(judged) > 1 else None,
    }


def _judged_as_json(judged: Judged) -> dict[str, object]:
    visit, match = judged.visit, judged.decision.match
    return {
        "visit": structs.asdict(visit)
        | {
            "client": asdict(visit.client),
            "at": visit.at.isoformat(),
            "matches": [match._asdict() for match in visit.matches],
            "url_categories": sorted(visit.url_categories),
        },
        "decision": asdict(judged.decision) | {"match": match and match._asdict()},
        "steps": [asdict(step) for step in judged.steps],
    }


def _print(
    judged: Sequence[Judged], policy: Policy, lists: str, more: Sequence[Text], *, is_never_inspected: bool
) -> None:
    visit, client = judged[0].visit, judged[0].visit.client
    known = ", ".join(part for part in (client.person, client.device, client.department) if part)
    who = known or f"{client.address}, whom nobody knows"
    at = ENGLISH.moment(visit.at, zone_of(policy), datetime.now(UTC))
    _console.print(Text(f"{visit.scheme}://{visit.host} port {visit.port}, for {who}, on {at}"))
    for one, following in pairwise(judged):
        _print_judged(one)
        _console.print()
        if following.decision.carried_by is None:
            said = f"{_carried(one, is_never_inspected=False)} Inside, {one.visit.host} with its path:"
        else:
            said = f"It shows {following.visit.host}:"
        _console.print(Text(said))
    _print_judged(judged[-1])
    for line in more:
        _console.print(line)
    if len(judged) == 1:
        carried = _carried(judged[0], is_never_inspected=is_never_inspected)
        if carried:
            _console.print(Text(carried))
    _console.print(Text(f"decided by policy {policy.version} and {lists}"))


def steps_table(steps: Iterable[Step]) -> Table:
    """Return each step of deciding as a row, an arrow before what decided."""
    table = Table.grid(padding=(0, 2))
    for step in steps:
        style = "bold" if step.is_hit else ""
        table.add_row(Text("->" if step.is_hit else "", style), Text(step.what, style), Text(step.why, style))
    return table


def _print_judged(judged: Judged) -> None:
    decision = judged.decision
    for match in judged.visit.matches:
        _console.print(Text(f"{match.entry} is listed as {match.category} by {match.source}"))
    if not judged.visit.matches:
        _console.print("It is in no list.")
    _console.print()
    _console.print(steps_table(judged.steps))
    _console.print()
    cause = decision.cause.value.replace("_", " ")
    by = " ".join(part for part in (cause, decision.rule, decision.exemption) if part)
    _console.print(Text(f"{_VERDICTS[decision.verdict]} by {by}", "bold"))
    if decision.is_inspected:
        _console.print(Text(f"It is looked into, for {', '.join(decision.inspect_rules)}"))
    if decision.because:
        _console.print(Text(f"because: {decision.because}"))
    if decision.approval:
        _console.print(Text(f"may be allowed by: {', then '.join(decision.approval)}"))


def _carried(judged: Judged, *, is_never_inspected: bool) -> str:
    """Return how a visit that may go on is carried, in words; nothing for one that may not, or plain http."""
    match judged.lane:
        case Lane.INSPECT:
            return f"It is opened and checked inside, for {', '.join(judged.decision.inspect_rules)}."
        case Lane.TUNNEL if is_never_inspected:
            return "It goes by in a tunnel, unopened: it is never inspected, whatever a rule says."
        case Lane.TUNNEL:
            return "It goes by in a tunnel, unopened."
        case _:
            return ""
