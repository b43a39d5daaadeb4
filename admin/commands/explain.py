"""`towngate explain`: why a visit would be allowed or blocked, by the code that decides."""

import difflib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from admin.command import CommandError
from admin.commands.lists import lists_of
from admin.commands.policy import published_policy
from admin.state_folder import StateFolder
from categories.taxonomy import taxonomy
from policy import notation
from policy.correction import Corrections
from policy.deciding import Step, decide
from policy.decision import Decision, Verdict
from policy.document import load_document
from policy.identity import Identities
from policy.ip import parse_ip
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

    Uses the policy, exemptions and lists in force. Exit code 0 whatever the answer is.
    """
    folder = StateFolder(state)
    policy, exemptions, corrections = _in_force(folder)
    try:
        address = parse_web_address(url)
        at = notation.moment(when, zone_of(policy)) if when else datetime.now(UTC)
    except ValueError as error:
        raise CommandError(str(error)) from error
    client = _client(who, policy)
    with lists_of(folder) as (lists, name):
        matches = corrections.apply(address.host, lists.lookup(address.host, address.path))
        lists_version = lists.version
    visit = Visit(client, address.scheme, address.host, address.port, address.path, at, matches)
    steps: list[Step] = []
    decision = decide(visit, policy, exemptions, steps)
    if as_json:
        click.echo(json.dumps(_as_json(visit, decision, steps, policy.version, lists_version)))
    else:
        _print(visit, decision, steps, policy, name)


def _in_force(folder: StateFolder) -> tuple[Policy, State, Corrections]:
    snapshot = published_policy(folder)
    if snapshot is not None:
        return snapshot.policy, snapshot.state(), Corrections(snapshot.corrections)
    try:
        text = folder.policy_document.read_text("utf-8")
        policy = load_document(text, taxonomy()).policy
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


def _client(who: str, policy: Policy) -> Client:
    identities = Identities(policy)
    if who in policy.people:
        return identities.client_of(who)
    try:
        return identities.identify(str(parse_ip(who)))
    except ValueError as error:
        near = difflib.get_close_matches(who.lower(), policy.people, n=1)
        nearest = f" (nearest: {near[0]!r})" if near else ""
        raise CommandError(f"{who!r} is neither a person of the policy nor an IP address{nearest}") from error


def _as_json(
    visit: Visit, decision: Decision, steps: list[Step], policy_version: str, lists_version: str
) -> dict[str, object]:
    return {
        "visit": asdict(visit) | {"at": visit.at.isoformat(), "url_categories": sorted(visit.url_categories)},
        "decision": asdict(decision),
        "steps": [asdict(step) for step in steps],
        "policy": policy_version,
        "categories": lists_version,
    }


def _print(visit: Visit, decision: Decision, steps: list[Step], policy: Policy, lists: str) -> None:
    client = visit.client
    known = ", ".join(part for part in (client.person, client.device, client.department) if part)
    who = known or f"{client.address}, whom nobody knows"
    at = ENGLISH.moment(visit.at, zone_of(policy), datetime.now(UTC))
    _console.print(Text(f"{visit.scheme}://{visit.host} port {visit.port}, for {who}, on {at}"))
    for match in visit.matches:
        _console.print(Text(f"{match.entry} is listed as {match.category} by {match.source}"))
    if not visit.matches:
        _console.print("It is in no list.")
    _console.print()
    table = Table.grid(padding=(0, 2))
    for step in steps:
        style = "bold" if step.is_hit else ""
        table.add_row(Text("->" if step.is_hit else "", style), Text(step.what, style), Text(step.why, style))
    _console.print(table)
    _console.print()
    cause = decision.cause.value.replace("_", " ")
    by = " ".join(part for part in (cause, decision.rule, decision.exemption) if part)
    _console.print(Text(f"{_VERDICTS[decision.verdict]} by {by}", "bold"))
    if decision.because:
        _console.print(Text(f"because: {decision.because}"))
    if decision.approval:
        _console.print(Text(f"may be allowed by: {', then '.join(decision.approval)}"))
    _console.print(Text(f"decided by policy {policy.version} and {lists}"))
