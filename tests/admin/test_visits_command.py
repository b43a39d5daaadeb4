import asyncio
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from admin import audit, sessions
from admin.audit import Event, EventKind
from admin.command import cli
from admin.database import Database
from admin.ingest import Ingest
from admin.names import Names
from admin.state_folder import StateFolder
from policy.decision import Lane, Verdict
from policy.file_types import refusal_of
from policy.town_policy import SecondPerson
from tests.admin.small_town import AUDITOR, MONDAY, PARKS_CLERK, TOWN, visit_record
from tests.people import CLERK, IT
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """Return a state folder whose log has three visits; nothing runs."""
    state = PublishedTown(tmp_path / "state").state
    take_in(
        state,
        visit_record(started_at=MONDAY, host="cardroom.example"),
        visit_record(
            started_at=MONDAY + timedelta(minutes=1), host="b.example", person=PARKS_CLERK, department="parks"
        ),
        visit_record(started_at=MONDAY + timedelta(minutes=2), host="c.example", bytes_down=4096),
    )
    return state


def take_in(state: StateFolder, *records: Any) -> None:
    name = f"{time.time_ns()}.visits"  # the name of a segment is never used twice
    (state.spool / name).write_bytes(b"".join(record.to_line() for record in records))

    async def run() -> None:
        async with Database.open(state.database) as db:
            await Ingest(db, state.spool, lambda: datetime.now(UTC)).take_in()

    asyncio.run(run())


def visits(state: StateFolder, *args: str) -> Result:
    return CliRunner().invoke(cli, ["visits", "--state", str(state.root), *args])


def events(state: StateFolder) -> list[Event]:
    async def read() -> list[Event]:
        async with Database.open(state.database) as db:
            return await audit.events_of(db, "visits")

    return asyncio.run(read())


def publish(state: StateFolder, second_person: str) -> None:
    """Publish a policy that says when a second person must agree to names."""
    PublishedTown(state.root, document=f"{DOCUMENT}names: {{second_person: {second_person}}}\n")


def agreed(state: StateFolder, person: str | None, minutes_ago: int = 0) -> None:
    """Have a second person agree, as on the page, that names are shown for half an hour from then on."""

    async def agree() -> None:
        at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        async with Database.open(state.database) as db:
            names = Names(db, lambda: replace(TOWN, second_person=SecondPerson.ALWAYS), lambda: at)
            async with db.transaction() as t:
                one = (await sessions.open_signed_in(t, IT, at, None)).session
                other = (await sessions.open_signed_in(t, AUDITOR, at, None)).session
            asked = await names.ask(one, "A complaint", "C-7", person)
            assert asked is not None
            await names.answer(other, asked.id, agrees=True)

    asyncio.run(agree())


def test_search_by_name_wants_what_a_second_person_agreed_to(state: StateFolder) -> None:
    search = ("--person", CLERK, "--json")
    for missing in ((), ("--because", "A complaint")):
        assert visits(state, *search, *missing).exit_code == 2
    assert "a second person must agree" in visits(state, *search, "--because", "A complaint").output
    agreed(state, CLERK, minutes_ago=31)
    agreed(state, PARKS_CLERK)
    for number, why in (
        ("NAMES-1", "NAMES-1 is not agreed to for this, or no more"),
        ("NAMES-2", "NAMES-2 is not agreed to for this"),
        ("NAMES-9", "there is no NAMES-9"),
        ("x", "there is no NAMES-0"),
    ):
        refused = visits(state, *search, "--agreed", number)
        assert refused.exit_code == 2 and why in refused.output
    told = len(events(state))
    agreed(state, CLERK)
    found = visits(state, *search, "--agreed", "NAMES-3")
    assert {json.loads(line)["person"] for line in found.output.splitlines()} == {CLERK}
    event = events(state)[-1]
    assert (len(events(state)), event.details["request"]) == (told + 2, "NAMES-3")


def test_names_alone_want_a_reason_and_a_second_person_where_the_policy_says_always(
    state: StateFolder,
) -> None:
    assert CLERK in visits(state, "--because", "Ticket 7", "--json").output
    publish(state, "always")
    refused = visits(state, "--because", "Ticket 7", "--json")
    assert refused.exit_code == 2 and "a second person must agree" in refused.output
    agreed(state, None)
    assert CLERK in visits(state, "--agreed", "NAMES-1", "--json").output


def test_lines_tell_what_happened_the_newest_last_and_name_nobody(state: StateFolder) -> None:
    result = visits(state)
    assert result.exit_code == 0, result.output
    first, second, third = result.output.splitlines()
    assert first.startswith("2026-03-02 10:00:00  finance person ")
    assert "block      cardroom.example  (not-town-business gambling)  0 B in 0.0 s" in first
    assert "parks person" in second
    assert third.endswith("  4.1 kB in 0.0 s")
    assert json.loads(visits(state, "--json", "--host", "c.example").output)["bytes_down"] == 4096
    for hidden in (CLERK, PARKS_CLERK, "FIN-PC-15", "10.10.20.15"):
        assert hidden not in result.output
    assert events(state) == []


def test_json_has_one_object_a_line(state: StateFolder) -> None:
    result = visits(state, "--json", "--department", "finance", "--limit", "1")
    (line,) = result.output.splitlines()
    values = json.loads(line)
    assert (values["host"], values["started_at"]) == ("c.example", "2026-03-02T15:02:00+00:00")
    assert (values["verdict"], values["rule"], values["category"]) == (
        "block",
        "not-town-business",
        "gambling",
    )
    assert (values["bytes_down"], values["seconds"]) == (4096, 0.0)
    assert values["person"] is values["device"] is values["address"] is None
    assert len(values["who"]) == 3


def test_download_that_was_stopped_is_said_with_what_it_is(state: StateFolder) -> None:
    stopped = {"rule": "no-programs", "category": "press", "started_at": MONDAY + timedelta(hours=1)}
    take_in(state, visit_record(**stopped, refusal=refusal_of(frozenset({"executable"}))))
    assert "(no-programs press: an executable file)" in visits(state, "--limit", "1").output
    assert json.loads(visits(state, "--limit", "1", "--json").output)["file_types"] == ["executable"]
    assert (
        json.loads(visits(state, "--rule", "not-town-business", "--limit", "1", "--json").output)[
            "file_types"
        ]
        is None
    )


def test_persons_are_hidden_until_a_reason_is_given_which_is_logged(state: StateFolder) -> None:
    publish(state, "never")
    refused = visits(state, "--person", CLERK)
    assert refused.exit_code == 2
    assert "ersons are hidden until a reason is given" in refused.output
    assert events(state) == []
    shown = visits(state, "--person", CLERK, "--because", "A complaint", "--case", "C-7", "--json")
    assert shown.exit_code == 0
    assert {json.loads(line)["person"] for line in shown.output.splitlines()} == {CLERK}
    (event,) = events(state)
    assert event.kind is EventKind.NAMES_SHOWN
    assert event.actor.endswith("at the command line")
    assert event.details == {"reason": "A complaint", "case": "C-7", "person": CLERK}


def test_full_addresses_are_in_json_alone_and_only_while_names_are_shown(state: StateFolder) -> None:
    address = "http://d.example/players/clerk"
    take_in(state, visit_record(host="d.example", addresses=(address,)))
    host = ("--host", "d.example")
    assert json.loads(visits(state, *host, "--json").output)["addresses"] is None
    shown = json.loads(visits(state, *host, "--json", "--because", "Ticket 7").output)
    assert shown["addresses"] == [address]
    for form in ((), ("--csv",), ("--squid",)):
        result = visits(state, *host, *form, "--because", "Ticket 7")
        assert "d.example" in result.output and "players" not in result.output


@pytest.mark.parametrize(
    ("args", "hosts"),
    [
        (["--host", "CARDROOM.example"], ["cardroom.example"]),
        (["--verdict", "allow"], []),
        (["--lane", "inspect"], []),
        (["--lane", "block", "--until", "2026-03-02 10:01"], ["cardroom.example"]),
        (["--since", "2026-03-02 10:01"], ["b.example", "c.example"]),
        (["--since", "2026-03-02 10:01:00"], ["b.example", "c.example"]),
        (["--since", "2026-03-02 10:01:01"], ["c.example"]),
        (["--since", "2026-03-02 10:01", "--until", "2026-03-02 10:02"], ["b.example"]),
        (["--since", "2h"], []),
        (["--code", "k7m4qp", "--department", "parks"], ["b.example"]),
        (["--not-host", "b.example", "--not-host", "C.example"], ["cardroom.example"]),
        (["--not-department", "finance"], ["b.example"]),
        (["--not-category", "press", "--host", "b.example"], ["b.example"]),
        (["--not-rule", "not-town-business"], []),
        (["--all", "--not-department", "parks"], ["cardroom.example", "c.example"]),
        (
            ["--rule", "not-town-business", "--category", "gambling", "--limit", "2"],
            ["b.example", "c.example"],
        ),
    ],
)
def test_filters(state: StateFolder, args: list[str], hosts: list[str]) -> None:
    result = visits(state, "--json", *args)
    assert [json.loads(line)["host"] for line in result.stdout.splitlines()] == hosts
    assert ("No visits match. Leave an option out, or widen the time." in result.stderr) is (not hosts)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--host", "a b"], "--host"),
        (["--not-host", "a b"], "--not-host"),
        (["--not-rule=r"] * 51, "50 of a kind can be left out at most"),
        (["--since", "yesterday"], "--since"),
        (["--until", "2026-03-02 25:00"], "--until"),
        (["--code", "K7M"], "--code: “K7M” is no page code; one is like K7M-4QP"),
        (["--verdict", "perhaps"], "perhaps"),
    ],
)
def test_a_filter_that_cannot_be_read_is_said(state: StateFolder, args: list[str], message: str) -> None:
    result = visits(state, *args)
    assert result.exit_code == 2
    assert message in result.output


def test_all_come_in_the_order_of_their_arrival(state: StateFolder) -> None:
    take_in(state, *[visit_record(host=f"site-{number}.example") for number in range(1500)])
    result = visits(state, "--all", "--json", "--department", "finance")
    hosts = [json.loads(line)["host"] for line in result.stdout.splitlines()]
    assert hosts == ["cardroom.example", "c.example", *(f"site-{number}.example" for number in range(1500))]


def test_a_table_has_every_visit_in_a_row_and_no_formula(state: StateFolder) -> None:
    hostile = '=cmd()|"x",<b>\r\nB'
    take_in(state, visit_record(host="d.example", person=hostile, refusal="-1+1", rule="@sum"))
    result = visits(state, "--csv", "--host", "d.example", "--because", "Ticket 7.")
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert (row["host"], row["refusal"], row["rule"]) == ("d.example", "'-1+1", "'@sum")
    assert row["person"].startswith("'=cmd()")
    assert (row["started_at"], row["bytes_down"]) == ("2026-03-02T15:00:00+00:00", "0")


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"], ["--squid"]])
@pytest.mark.parametrize("begins", ["=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n=1"])
def test_hostile_names_are_one_line_in_every_form_and_no_cell_is_a_formula(
    state: StateFolder, form: list[str], begins: str
) -> None:
    hostile = f'{begins}|"x" <script>\r\nDate: now\x1b[2J\u2028,'
    names = ("code", "host", "person", "device", "department", "address", "rule", "entry", "refusal")
    take_in(state, visit_record(started_at=MONDAY + timedelta(hours=1), **dict.fromkeys(names, hostile)))
    result = visits(state, *form, "--since", "2026-03-02 10:30", "--because", "Ticket 7.")
    lines = result.stdout.removesuffix("\n").split("\n")
    assert len(lines) == (2 if form == ["--csv"] else 1)
    assert all(line.isprintable() for line in lines)
    if form == ["--squid"]:
        assert len(lines[0].split()) == 10
    if form == ["--csv"]:
        (row,) = csv.DictReader(io.StringIO(result.stdout))
        assert all(row[name].startswith(("'", "\ufffd")) for name in names)


@pytest.mark.needs("goaccess")
@pytest.mark.parametrize("names", [[], ["--because", "Ticket 7."]])
def test_goaccess_reads_them_as_squids_log(state: StateFolder, tmp_path: Path, names: list[str]) -> None:
    take_in(
        state,
        visit_record(
            host="d.example",
            scheme="http",
            port=80,
            person="a b\r\nc",
            verdict=Verdict.ALLOW,
            lane=Lane.PLAIN,
            bytes_down=1000,
        ),
        visit_record(
            host="e.example",
            verdict=Verdict.ALLOW,
            lane=Lane.TUNNEL,
            address="10.10.20.16",
            person=PARKS_CLERK,
            device=None,
        ),
    )
    (tmp_path / "access.log").write_text(visits(state, "--all", "--squid", *names).stdout)
    # As admin/README says; its own "SQUID" wants lines as syslog has them, with the proxy's name before.
    form = ["--log-format=%x.%^ %~%L %h %^/%s %b %m %U", "--date-format=%s", "--time-format=%s"]
    command = ["goaccess", str(tmp_path / "access.log"), "--no-global-config", *form]
    subprocess.run([*command, "-o", str(tmp_path / "report.json")], check=True, capture_output=True)
    found = json.loads((tmp_path / "report.json").read_text())
    assert (found["general"]["total_requests"], found["general"]["failed_requests"]) == (5, 0)
    assert found["general"]["bandwidth"] == 4096 + 1000
    statuses = {
        each["data"]: each["hits"]["count"]
        for group in found["status_codes"]["data"]
        for each in group["items"]
    }
    assert sorted(statuses.values()) == [2, 3]
    shown = {each["data"] for each in found["hosts"]["data"]}
    if names:
        assert shown == {"10.10.20.15", "10.10.20.16"}
    else:
        assert all(address.startswith("240.0.") for address in shown) and len(shown) == 3


def test_without_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    result = visits(StateFolder(tmp_path))
    assert result.exit_code == 2
    assert "there is no database yet; start 'towngate run'" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(60)
def test_follow_goes_on_with_what_arrives_until_it_is_interrupted(state: StateFolder) -> None:
    command = [sys.executable, "-m", "admin.command", "visits", "--state", str(state.root)]
    with subprocess.Popen(
        [*command, "--follow", "--json", "--department", "parks"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["host"] == "b.example"
        take_in(
            state,
            visit_record(host="d.example", department="parks"),
            visit_record(host="e.example"),
        )
        assert json.loads(process.stdout.readline())["host"] == "d.example"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stdout.read() == ""
        assert process.stderr.read() == ""


def test_filter_that_names_what_is_not_there_is_said_where_nothing_matches(state: StateFolder) -> None:
    result = visits(state, "--department", "fin", "--category", "gambing", "--rule", "none-such")
    assert result.stderr.split("No visits match. ")[1] == (
        "“fin” is no department of the policy. “gambing” is no category. “none-such” is no rule of the"
        " policy. Leave an option out, or widen the time.\n"
    )
