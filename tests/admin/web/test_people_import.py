"""`towngate people import`, and programs that do the same: looked at first, then in force at once."""

import asyncio
import errno
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin import audit
from admin.asking import NotAllowedError
from admin.audit import EventKind
from admin.command import cli
from admin.people_import import write_list
from admin.sessions import Level, Session
from admin.state_folder import StateFolder
from policy.snapshot import PolicySnapshot
from policy.town_policy import Person
from tests import people
from tests.admin.web.conftest import Site
from tests.admin.web.test_api import program_of

STAFF = "id,name,mail,department\n" + "".join(f"staff-{n},Person {n},,parks\n" for n in range(10))
ANN = "ann,Ann,ann@town.example,finance\n"


async def imported(site: Site, file: Path, *args: str) -> Result:
    command = ["people", "import", str(file), "--state", str(site.state.root), *args]
    return await asyncio.to_thread(CliRunner().invoke, cli, command)


def is_full(*_: object, **_named: object) -> None:
    """Write nothing, as on a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


def in_force(site: Site) -> set[str]:
    return set(PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes()).policy.people)


async def test_a_list_is_looked_at_applied_and_what_removed_people_had_ends(
    site: Site, tmp_path: Path
) -> None:
    file = tmp_path / "staff.csv"
    file.write_text(STAFF + ANN)
    looked = await imported(site, file)
    assert looked.exit_code == 0
    assert "staff.csv: 11 added, 0 changed, 0 removed, 11 people.\n+ ann: Ann, ann@town.example, finance" in (
        looked.output
    )
    assert looked.output.endswith("Nothing was applied. Apply it with --apply.\n")
    assert not site.state.people_list.exists()
    done = await imported(site, file, "--apply")
    assert done.output.endswith(f"Written to {site.state.people_list}. In force.\n")
    assert "ann" in in_force(site)
    assert people.CLERK in in_force(site)

    ann = await site.signed_in("ann")
    number = await site.sent_request("ann")
    file.write_bytes(
        ("\ufeff" + STAFF.replace(",", ";").replace("Person 3;;parks", "=cmd();;finance")).encode()
    )
    looked = await imported(site, file)
    assert "0 added, 1 changed, 1 removed, 10 people." in looked.output
    assert "~ staff-3: name Person 3 -> =cmd(); department parks -> finance" in looked.output
    assert f"- ann: Ann, ann@town.example, finance; withdrawn: REQ-{number}" in looked.output
    assert (await ann.get("/requests")).status_code == 200
    done = await imported(site, file, "--apply")
    assert done.exit_code == 0, done.output
    assert "ann" not in in_force(site)
    assert (await ann.get("/requests")).status_code == 303
    row = await site.admin.db.fetch_one("SELECT state FROM access_request WHERE id = ?", number)
    assert row is not None
    assert row["state"] == "withdrawn"
    events = await audit.events_of(site.admin.db, "people.csv")
    assert [event.kind for event in events] == [EventKind.PEOPLE_IMPORTED] * 2
    assert events[1].details == {"people": 10, "added": 0, "changed": 1, "removed": ["ann"]}


async def test_another_kind_of_person_is_shown(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "staff.csv"
    file.write_text("id,name,kind\nann,Ann,\nben,Ben,volunteer\n")
    assert (await imported(site, file, "--apply")).exit_code == 0
    file.write_text("id,name,kind\nann,Ann,contractor\nben,Ben,volunteer\ncy,Cy,volunteer\n")
    looked = (await imported(site, file)).output
    assert "\n+ cy: Cy, volunteer\n~ ann: kind employee -> contractor\n" in looked


async def test_a_list_that_would_remove_over_a_fifth_is_stopped_unless_it_is_named_again(
    site: Site, tmp_path: Path
) -> None:
    file, half = tmp_path / "staff.csv", tmp_path / "half.csv"
    file.write_text(STAFF)
    half.write_text("\n".join(STAFF.splitlines()[:8]))
    assert (await imported(site, file, "--apply")).exit_code == 0
    for force in ([], ["--force", "staff.csv"]):
        stopped = await imported(site, half, "--apply", *force)
        assert stopped.exit_code == 1
        assert "3 of 10 people would be removed, over a fifth. Nothing was applied." in stopped.output
    assert (await imported(site, half)).exit_code == 1, "it is only looked at"
    refused = (await audit.events_of(site.admin.db, "people.csv"))[1:]
    assert [event.kind for event in refused] == [EventKind.PEOPLE_IMPORT_REFUSED] * 2
    assert refused[0].details == {"why": "3 of 10 people would be removed, over a fifth."}
    assert "staff-9" in in_force(site)
    looked = json.loads((await imported(site, half, "--json", "--force", "half.csv")).output)
    assert (sorted(looked["removed"]), looked["applied"]) == (["staff-7", "staff-8", "staff-9"], False)
    assert (await imported(site, half, "--apply", "--force", "half.csv")).exit_code == 0
    assert "staff-9" not in in_force(site)
    assert "staff-6" in in_force(site)


async def test_what_could_not_be_written_is_not_forced_either(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, half = tmp_path / "staff.csv", tmp_path / "half.csv"
    file.write_text(STAFF)
    half.write_text("\n".join(STAFF.splitlines()[:8]))
    assert (await imported(site, file, "--apply")).exit_code == 0
    monkeypatch.setattr("admin.people_import.write_atomically", is_full)
    failed = await imported(site, half, "--apply", "--force", "half.csv")
    assert failed.exit_code == 2 and "No space left on device; nothing was applied" in failed.output
    forced = EventKind.PEOPLE_REMOVAL_FORCED.value
    assert await site.admin.db.fetch_all("SELECT * FROM event WHERE kind = ?", forced) == []


async def test_a_policy_that_leaves_out_over_a_fifth_is_published_where_it_is_named_again(
    site: Site, tmp_path: Path
) -> None:
    site.state.people_list.write_text(STAFF)
    await site.until(lambda: "staff-9" in site.admin.policy.people)
    ann = await site.signed_in("staff-9")
    # Whoever edits the file where it is in force gets as far as with the command.
    site.state.people_list.write_text("\n".join(STAFF.splitlines()[:2]))
    await site.until(lambda: bool(site.admin.policy_problems))
    assert (
        "9 of 16 people would be removed, over a fifth. The running policy stays."
        in (site.admin.policy_problems[0])
    )
    assert (await ann.get("/requests")).status_code == 200

    async def publish(*args: str) -> Result:
        command = ["policy", "publish", str(site.state.policy_document), "--state", str(site.state.root)]
        return await asyncio.to_thread(CliRunner().invoke, cli, [*command, *args])

    stopped = await publish("--force", "other.yaml")
    assert stopped.exit_code == 1
    assert "over a fifth. Not published. The policy in force stays. If it is meant: --force policy.yaml" in (
        " ".join(stopped.output.split())
    )
    done = await publish("--force", "policy.yaml")
    assert (done.exit_code, "In force: policy" in done.output) == (0, True)
    assert "staff-9" not in in_force(site)
    assert (await ann.get("/requests")).status_code == 303
    events = await audit.events_of(site.admin.db, site.admin.policy.version)
    assert [event.kind for event in events] == [
        EventKind.PEOPLE_REMOVAL_FORCED,
        EventKind.POLICY_PUBLISHED,
    ]


async def test_with_a_problem_nothing_is_applied(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "staff.csv"
    file.write_text("id,name,department\nann,Ann,financ\nclerk,Clerk,finance\n")
    result = await imported(site, file, "--apply")
    assert result.exit_code == 1
    assert "staff.csv: line 2: ann.department: 'financ' is not a department" in result.output
    assert "staff.csv: line 3: clerk: 'clerk' is in the policy document too" in result.output
    assert not site.state.people_list.exists()
    file.write_bytes("id,name\nann,Añn\n".encode("latin-1"))
    assert "staff.csv: line 2: this is not UTF-8 text" in (await imported(site, file)).output
    file.write_bytes("id\tname\nann\tAñn\n".encode("utf-16"))
    assert "+ ann: Añn" in (await imported(site, file)).output
    (tmp_path / "staff.yaml").write_text("people: {ann: {name: Ann, department: finance}}")
    assert "+ ann: Ann, finance" in (await imported(site, tmp_path / "staff.yaml")).output


async def test_a_bad_people_csv_changes_nothing_and_is_said_with_its_name(site: Site) -> None:
    before = site.admin.policy
    site.state.people_list.write_text("id,name,department\nann,Ann,financ\n")
    await site.until(lambda: bool(site.admin.policy_problems))
    assert site.admin.policy_problems[0].startswith("people.csv: line 2: ann.department: 'financ' is not")
    assert site.admin.policy is before
    site.state.people_list.write_text("id,name,department\nann,Ann,finance\n")
    await site.until(lambda: "ann" in site.admin.policy.people)
    assert site.admin.policy_problems == ()
    site.state.people_list.unlink()
    await site.until(lambda: "ann" not in site.admin.policy.people)


async def test_program_looks_at_a_list_and_applies_what_it_saw(site: Site) -> None:
    it = await program_of(site, people.IT)
    listed = {"format": "csv", "text": STAFF + ANN}
    change = await it.post("/people/list/look", **listed)
    assert (change["people"], len(change["added"]), change["removed"]) == (11, 11, [])
    await it.post("/people/list/apply", 409, **listed, seen="another")
    assert not site.state.people_list.exists()
    told = {"has_reached_proxy": True, "not_told": []}
    assert await it.post("/people/list/apply", **listed, seen=change["seen"]) == change | told
    assert "ann" in in_force(site)

    number = await site.sent_request("ann")
    without = {"format": "yaml", "text": "\n".join(f"staff-{n}: {{name: Person {n}}}" for n in range(10))}
    change = await it.post("/people/list/look", **without)
    (gone,) = change["removed"]
    assert (gone["person"]["id"], gone["withdrawn"]) == ("ann", [f"REQ-{number}"])
    assert {one["after"]["department"] for one in change["changed"]} == {None}
    assert "ann" in in_force(site), "it was only looked at"
    await it.post("/people/list/apply", **without, seen=change["seen"])
    assert "ann" not in in_force(site)
    events = await audit.events_of(site.admin.db, "people.csv")
    assert [(event.kind, event.actor) for event in events] == [
        (EventKind.PEOPLE_IMPORT_REFUSED, people.IT),
        *[(EventKind.PEOPLE_IMPORTED, people.IT)] * 2,
    ]
    assert events[0].details["why"] == "what this list changes is not what was seen"


async def test_list_that_could_not_be_published_says_so_and_is_when_it_can_be(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = await program_of(site, people.IT)
    listed = {"format": "csv", "text": STAFF + ANN}
    change = await it.post("/people/list/look", **listed)
    with monkeypatch.context() as full:
        full.setattr("admin.publisher.write_atomically", is_full)
        applied = await it.post("/people/list/apply", **listed, seen=change["seen"])
    assert not applied["has_reached_proxy"]
    assert "not published: [Errno 28] No space left on device" in applied["not_told"][0]
    await site.until(lambda: "ann" in in_force(site))


async def test_list_that_comes_while_policy_yaml_is_bad_says_that_it_is_not_in_force(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = await program_of(site, people.IT)
    listed = {"format": "csv", "text": STAFF + ANN}
    change = await it.post("/people/list/look", **listed)
    good = site.state.policy_document.read_text()

    def write_and_break(state: StateFolder, after: Mapping[str, Person]) -> None:
        write_list(state, after)
        state.policy_document.write_text("nonsense: 1\n")

    monkeypatch.setattr("admin.people_lists.write_list", write_and_break)
    applied = await it.post("/people/list/apply", **listed, seen=change["seen"])
    assert not applied["has_reached_proxy"] and "policy.yaml" in applied["not_told"][0]
    site.state.policy_document.write_text(good)
    await site.until(lambda: "ann" in in_force(site))


async def test_list_of_who_may_not_bring_one_is_refused_and_recorded(site: Site) -> None:
    at = site.clock.at
    head = Session(1, Level.SIGNED_IN, people.HEAD, None, "b", "c", at, at + timedelta(hours=1))
    with pytest.raises(NotAllowedError, match="only IT security takes another list"):
        await site.admin.people_lists.put_in_force(head, STAFF, "people.csv", "seen", even_over_a_fifth=False)
    (event,) = await audit.events_of(site.admin.db, "people.csv")
    assert (event.kind, event.actor) == (EventKind.PEOPLE_IMPORT_REFUSED, people.HEAD)
    assert not site.state.people_list.exists()


async def test_list_of_a_program_is_stopped_where_it_removes_over_a_fifth_or_is_bad(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = await program_of(site, people.IT)
    site.state.people_list.write_text(STAFF)
    await site.until(lambda: "staff-9" in site.admin.policy.people)
    half = {"format": "csv", "text": "\n".join(STAFF.splitlines()[:8])}
    change = await it.post("/people/list/look", **half)
    assert change["removes_over_a_fifth"]
    stopped = await it.post("/people/list/apply", 422, **half, seen=change["seen"])
    (error,) = stopped["errors"]
    assert error["field"] == "even_over_a_fifth" and "3 of 10 people would be removed" in error["message"]
    forced = half | {"seen": change["seen"], "even_over_a_fifth": True}
    with monkeypatch.context() as full:
        full.setattr("admin.people_import.write_atomically", is_full)
        not_saved = await it.post("/people/list/apply", 503, **forced)
        assert (not_saved["type"], not_saved["detail"]) == (
            "/api#not-saved",
            "people.csv: No space left on device. Where it is root's, root runs towngate people import."
            " Nothing changed.",
        )
    assert "staff-9" in in_force(site)
    await it.post("/people/list/apply", **forced)
    assert "staff-9" not in in_force(site)
    bad = {"format": "csv", "text": "id,name,department\nann,Ann,financ\nclerk,Clerk,finance\n"}
    errors = (await it.post("/people/list/look", 422, **bad))["errors"]
    assert [error["field"] for error in errors] == ["people.csv, line 2", "people.csv, line 3"]
    assert errors[0]["message"].startswith("ann.department: 'financ' is not a department")
    assert (await it.post("/people/list/look", 422, format="yaml", text="{"))["errors"]
