"""What pages tell, told to programs: the policy, the notice, quotas, lists, alerts, today."""

from datetime import timedelta

from policy.visit import Client
from tests import people, towns
from tests.admin.counted_use import write_use
from tests.admin.web.conftest import FRIDAY_MORNING, Site, post, visit
from tests.admin.web.test_api import program_of
from tests.admin.web.test_limit_pages import with_limits
from tests.admin.web.test_notice_pages import with_notice


async def test_everyone_is_told_the_rules_the_limits_and_what_is_left(site: Site) -> None:
    await with_limits(site)
    shopping = next(limit for limit in site.admin.policy.limits if limit.id == "shopping-time")
    use = Client("", person=people.CLERK, department="finance")
    write_use(site.state.spool, FRIDAY_MORNING.date(), "0", use, (shopping, 0, range(10)))
    clerk = await program_of(site, people.CLERK)
    policy = await clerk.get("/policy")
    rule = next(rule for rule in policy["rules"] if rule["id"] == "not-town-business")
    assert (rule["action"], rule["approval"], "gambling" in rule["categories"]) == (
        "block",
        ["department_head"],
        True,
    )
    says = {limit["id"]: limit["says"] for limit in policy["limits"]}
    assert says["big"] == "a download of more than 500 MB gets a warning first"
    left = {one["limit"]: one for one in (await clerk.get("/quotas"))["items"]}
    assert left.keys() == {"a-day", "shopping-time"}
    assert (left["a-day"]["left_bytes"], left["a-day"]["of_department"]) == (2_000_000_000, True)
    assert (left["shopping-time"]["left_seconds"], left["shopping-time"]["says"]) == (
        20 * 60,
        "20 minutes of 30 minutes",
    )
    site.state.policy_document.write_text(towns.DOCUMENT + "rulez: []\n")
    await site.until(lambda: bool(site.admin.policy_problems))
    assert (await clerk.get("/policy"))["problems"] == []
    assert (await (await program_of(site, people.IT)).get("/policy"))["problems"]


async def test_everyone_is_told_the_notice_and_signs_it_in_person(site: Site) -> None:
    browser, clerk = await site.signed_in(people.CLERK), await program_of(site, people.CLERK)
    assert (await clerk.get("/notice"))["notice"] is None
    version = await with_notice(site)
    told = await clerk.get("/notice")
    assert (told["notice"]["version"], told["accepted_at"]) == (version, None)
    assert told["notice"]["paragraphs"][0] == "Sites are recorded, and when."
    await post(browser, "/notice", version=version, agree="yes")
    told = await clerk.get("/notice")
    assert (told["accepted_at"], told["known_by"]) == ("2026-03-06T15:14:07Z", "signed_in")


async def test_everyone_is_told_of_a_lockdown_and_of_the_filter(site: Site) -> None:
    clerk, it = await program_of(site, people.CLERK), await program_of(site, people.IT)
    assert await clerk.get("/alerts") == {"lockdowns": [], "filter_off": None}
    await it.post("/emergency/lockdown", 201, because="A worm goes round.", next_news="11:00")
    await it.post("/emergency/filter", 201, lasts="10m", because="It blocks everything.")
    told = await clerk.get("/alerts")
    (lockdown,) = told["lockdowns"]
    assert (lockdown["department"], lockdown["because"]) == (None, "A worm goes round.")
    assert lockdown["next_news_at"] == "2026-03-06T16:00:00Z"
    assert told["filter_off"]["until"] == "2026-03-06T15:24:07Z"
    assert (await it.get("/today"))["is_well"] is False


async def test_site_is_looked_up_with_the_entry_the_list_and_its_version(site: Site) -> None:
    desk, it = await program_of(site, people.HELP_DESK), await program_of(site, people.IT)
    found = await desk.get("/categories/site", site="https://www.cardroom.example/a?secret")
    (match,) = found["listed_as"]
    assert (match["category"], match["entry"], match["source"]) == (
        "gambling",
        "cardroom.example",
        "starter",
    )
    lists = await desk.get("/categories/lists")
    assert found["lists"] == lists["version"] and "secret" not in str(found)
    assert [(one["name"], one["state"]) for one in lists["sources"]] == [("starter", "fresh")]
    await it.post("/corrections", 201, site="cardroom.example", categories=["reference"], why="A museum")
    (match,) = (await desk.get("/categories/site", site="cardroom.example"))["listed_as"]
    assert (match["category"], match["source"]) == ("reference", "town")
    await desk.get("/categories/site", 422, site="not a site")
    labels = {one["id"]: one["label"] for one in (await desk.get("/categories"))["items"]}
    assert labels["gambling"] == "Gambling"


async def test_today_and_visits_by_hour_are_those_of_the_pages(site: Site) -> None:
    hours = [FRIDAY_MORNING - timedelta(minutes=1), FRIDAY_MORNING - timedelta(hours=2)]
    await site.log(*(visit(at) for at in hours))
    desk = await program_of(site, people.HELP_DESK)
    today = await desk.get("/today")
    assert (today["numbers"]["visits"], today["numbers"]["blocked"]) == (2, 2)
    assert today["numbers"]["most_blocked"] == [{"id": "gambling", "visits": 2}]
    by_hour = (await desk.get("/visits/by-hour"))["items"]
    assert by_hour == today["numbers"]["hours"]
    assert [hour["starts_at"] for hour in by_hour if hour["visits"]] == [
        "2026-03-06T13:00:00Z",
        "2026-03-06T15:00:00Z",
    ]
    none = (await desk.get("/visits/by-hour", not_host="cardroom.example"))["items"]
    assert {hour["visits"] for hour in none} == {0}
    for at in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"):
        await desk.get("/visits/by-hour", 422, since=at)
        await desk.get("/visits/by-hour", 422, until=at)
