"""What is asked for beside a site, by programs: as on the pages, and shown with what it asks for."""

from datetime import timedelta

from policy.decision import Cause, Lane, Verdict
from tests import people
from tests.admin.web import (
    test_emergency_access,
    test_internet_accounts,
    test_own_device,
    test_social_media,
    test_standing_permission,
)
from tests.admin.web.conftest import FRIDAY_MORNING, Site, visit
from tests.admin.web.test_api import program_of

AN_HOUR_AGO = FRIDAY_MORNING - timedelta(hours=1)


async def test_a_device_of_ones_own_is_asked_for(site: Site) -> None:
    await test_own_device.allowing(site)
    clerk = await program_of(site, people.CLERK)
    wrong = await clerk.post("/requests/device", 422, **{**test_own_device.ASKED, "address": "0.0.0.0"})
    assert wrong["errors"] == [{"field": "address", "message": "No device of the network has 0.0.0.0"}]
    sent = await clerk.post("/requests/device", 201, **test_own_device.ASKED)
    assert (sent["kind"], sent["status"]) == ("device", "Waiting for your department head")
    assert sent["device"] == {
        "name": "CLERK-TABLET",
        "address": test_own_device.ADDRESS,
        "until": "2026-04-01T04:00:00Z",
    }
    assert (await clerk.post("/requests/device", 409, **test_own_device.ASKED))[
        "type"
    ] == "/api#asked-already"
    head, it = await program_of(site, people.HEAD), await program_of(site, people.IT)
    assert (await head.get("/exemptions"))["items"] == []
    await head.post("/requests/1/approve", step=0)
    await it.post("/requests/1/approve", step=1)
    for program in (head, it):
        (device,) = (await program.get("/exemptions"))["items"]
        assert (device["id"], device["state"]) == (1, "approved")


async def test_a_standing_permission_is_asked_for_by_a_department_that_may(site: Site) -> None:
    await test_standing_permission.allowing(site)
    asked = test_standing_permission.ASKED | {"categories": ["gambling"]}
    await (await program_of(site, people.CLERK)).post("/requests/standing", 403, **asked)
    head = await program_of(site, people.HEAD)
    both = await head.post("/requests/standing", 422, **{**asked, "site": "bets.example"})
    assert both["errors"] == [{"field": "site", "message": "Enter one site, or choose categories"}]
    sent = await head.post("/requests/standing", 201, **asked)
    assert (sent["kind"], sent["standing"]["categories"]) == ("standing", ["gambling"])


async def test_person_reads_the_terms_of_social_media_and_signs_them(site: Site) -> None:
    await test_social_media.authorising(site)
    proposal = test_social_media.PROPOSAL
    asked: dict[str, object] = {**proposal, "sites": proposal["sites"].split()}
    head, administrator = await program_of(site, people.HEAD), await program_of(site, people.ADMINISTRATOR)
    clerk = await program_of(site, people.CLERK)
    proposed = await head.post("/social-media", 201, **asked)
    hosts = proposed["hosts"]
    assert (await clerk.get("/requests/1/terms"))["is_to_sign"] is False, "others have not agreed yet"
    approved = await administrator.post("/requests/1/approve", step=1, hosts=hosts)
    assert approved["state"] == "awaits_signature"
    terms = await clerk.get("/requests/1/terms")
    assert terms["text"] == "Write for the town.\n\nNever of one person."
    assert (terms["signed_at"], terms["is_to_sign"]) == (None, True)
    assert (await head.get("/requests/1/terms"))["is_to_sign"] is False
    await head.post("/requests/1/terms", 403, version=terms["version"])
    other = await clerk.post("/requests/1/terms", 422, version="another")
    assert other["errors"] == [
        {"field": "version", "message": "The terms have changed since you opened them. Read them again"}
    ]
    assert test_social_media.decided(site)[0] is Verdict.BLOCK
    signed = await clerk.post("/requests/1/terms", version=terms["version"])
    assert (signed["state"], signed["expires_at"]) == ("approved", "2027-01-01T05:00:00Z")
    assert test_social_media.decided(site) == (Verdict.VIEW_ONLY, Cause.EXEMPTION)
    kept = await clerk.get("/requests/1/terms")
    assert kept == {**terms, "signed_at": "2026-03-06T15:14:07Z", "is_to_sign": False}
    await clerk.post("/requests/1/terms", 409, version=terms["version"])


async def test_who_proposed_a_person_is_told_that_it_is_their_own(site: Site) -> None:
    await test_social_media.authorising(site)
    head = await program_of(site, people.HEAD)
    proposal = test_social_media.PROPOSAL
    asked: dict[str, object] = {**proposal, "sites": proposal["sites"].split()}
    proposed = await head.post("/social-media", 201, **asked)
    (coordinator,) = (await head.get("/social-media/coordinators"))["items"]
    assert (coordinator["department"], coordinator["person"]["name"]) == ("finance", "Second clerk")
    refused = await head.post("/requests/1/approve", 403, step=1, hosts=proposed["hosts"])
    assert refused["type"] == "/api#own-request"
    assert refused["detail"] == "It goes to the town administrator. Nothing changed."


async def test_request_of_another_kind_has_no_terms(site: Site) -> None:
    await test_social_media.authorising(site)
    await site.sent_request()
    clerk = await program_of(site, people.CLERK)
    await clerk.get("/requests/1/terms", 404)
    await clerk.post("/requests/1/terms", 409, version="any")


async def test_an_internet_account_is_asked_for_and_says_for_whom(site: Site) -> None:
    await test_internet_accounts.requiring(site)
    head = await program_of(site, people.HEAD)
    asked = test_internet_accounts.FOR_TEMP
    wrong = await head.post("/requests/account", 422, **{**asked, "sponsor": "temp"})
    assert [one["field"] for one in wrong["errors"]] == ["sponsor"]
    sent = await head.post("/requests/account", 201, **asked)
    assert (sent["kind"], sent["person"]["id"]) == ("internet_account", "temp")
    assert sent["account"] == {
        "person_kind": "contractor",
        "employer": "Acme Builders",
        "sponsor": {"id": people.CLERK, "name": "Clerk"},
        "until": "2026-05-01T04:00:00Z",
        "proposed_by": {"id": people.HEAD, "name": sent["account"]["proposed_by"]["name"]},
    }
    asked_of_helper = {"person": "helper", "last": "2026-04-30", "reason": "Reads to children."}
    account = (await head.post("/requests/account", 201, **asked_of_helper))["account"]
    assert (account["employer"], account["sponsor"]) == (None, None)
    it = await program_of(site, people.IT)
    assert (await it.get("/exemptions/accounts"))["items"] == []
    await it.post("/requests/1/approve", step=1)
    assert [one["id"] for one in (await it.get("/exemptions/accounts"))["items"]] == [1]
    temp, helper = await it.get("/people/temp"), await it.get("/people/helper")
    assert (temp["role"], temp["kind"], temp["account"]) == (
        "Contractor, Finance",
        "contractor",
        {
            "request": 1,
            "employer": "Acme Builders",
            "sponsor": people.CLERK,
            "until": "2026-05-01T04:00:00Z",
        },
    )
    assert helper["account"] is None


async def test_emergency_access_opens_at_once_and_is_reviewed(site: Site) -> None:
    await test_emergency_access.allowing(site)
    clerk, head = await program_of(site, people.CLERK), await program_of(site, people.HEAD)
    assert (await head.post("/requests/emergency", 403, **test_emergency_access.ASKED))[
        "type"
    ] == "/api#scope"
    opened = await clerk.post("/requests/emergency", 201, **test_emergency_access.ASKED)
    until = (FRIDAY_MORNING + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert (opened["state"], opened["emergency"], opened["expires_at"]) == (
        "approved",
        {"until": until},
        until,
    )
    assert test_emergency_access.decided(site) == (Verdict.ALLOW, Cause.EXEMPTION)
    administrator = await program_of(site, people.ADMINISTRATOR)
    assert (await administrator.get("/requests", show="to_review"))["items"] == []
    answer = {"was_right": False, "note": "Ask the help desk next time."}
    await administrator.post("/requests/1/review", 409, **answer)
    site.clock.at = test_emergency_access.MONDAY
    assert [one["id"] for one in (await administrator.get("/requests", show="to_review"))["items"]] == [1]
    before = await administrator.get("/requests/1/review")
    assert (before["use"]["visits"], before["review"]["was_right"]) == (0, None)
    await clerk.get("/requests/1/review", 403)
    await clerk.post("/requests/1/review", 403, **answer)
    after = await administrator.post("/requests/1/review", **answer)
    assert (after["review"]["reviewed_by"], after["review"]["was_right"]) == ("you", False)
    review = (await clerk.get("/requests/1"))["review"]
    assert (review["reviewed_by"], review["note"]) == ("the town administrator", answer["note"])


async def test_what_was_heavy_lately_names_nobody(site: Site) -> None:
    values = {"verdict": Verdict.ALLOW, "lane": Lane.TUNNEL, "category": None, "entry": None}
    for days, host in ((0, "files.example"), (2, "films.example")):
        at = AN_HOUR_AGO - timedelta(days=days)
        size = 1_000_000 * (days + 1)
        await site.log(visit(host=host, bytes_down=size, started_at=at, ended_at=at, **values))
    it = await program_of(site, people.IT)
    today, week = await it.get("/heavy/lately"), await it.get("/heavy/lately", span="week")
    assert today["sites"] == [{"id": "files.example", "size_bytes": 1_000_000}]
    assert [one["id"] for one in week["sites"]] == ["films.example", "files.example"]
    assert week["departments"] == [{"id": "finance", "size_bytes": 4_000_000}]
    assert [one["id"] for one in week["categories"]] == [""]
    assert all(one["who"]["person"] is None and one["who"]["code"] for one in week["people"])
    await it.post("/visits/names", reason="The line is full")
    assert (await it.get("/heavy/lately"))["people"][0]["who"]["person"] == people.CLERK
    await it.get("/heavy/lately", 422, span="year")
