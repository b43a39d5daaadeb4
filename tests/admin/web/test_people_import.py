"""`towngate people import`, and programs that do the same: looked at first, then in force at once."""

import asyncio
import errno
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin import audit
from admin.audit import EventKind
from admin.command import cli
from policy.snapshot import PolicySnapshot
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
    assert await it.post("/people/list/apply", **listed, seen=change["seen"]) == change
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
    assert [(event.kind, event.actor) for event in events] == [(EventKind.PEOPLE_IMPORTED, people.IT)] * 2


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
