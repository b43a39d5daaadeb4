"""What IT does in an emergency: what may be done, who is first, and what is put on record."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from admin import audit, measures
from admin.asking import InvalidRequestError
from admin.audit import EventKind
from admin.database import Database
from admin.measures import EVERYONE, AlreadySoError, InForce, Measure, MeasureKind, NewMeasure
from policy.state import DeviceOff, FilterOff, Lockdown
from tests.admin.small_town import MONDAY
from tests.people import IT
from tests.published_town import policy_of
from tests.towns import DOCUMENT

TOWN = policy_of(DOCUMENT)
WORM = measures.lockdown(TOWN, EVERYONE, "A worm goes round.", "", MONDAY)
PARKS = measures.lockdown(TOWN, "parks", "Parks is being cleaned.", "11:00", MONDAY)
DEVICE = measures.device_off(TOWN, "10.10.20.7", "It sends mail by itself.")
FILTER = measures.filter_off("10m", "The lists are bad.", MONDAY)
TEN_MINUTES = timedelta(minutes=10)


async def begin(db: Database, new: NewMeasure, at: datetime = MONDAY, actor: str = IT) -> Measure:
    return await measures.begin(db, new, actor=actor, at=at)


async def end(db: Database, new: NewMeasure, at: datetime = MONDAY, seen: int | None = None) -> Measure:
    return await measures.end(db, new.kind, new.subject, actor=IT, at=at, seen=seen)


async def events(db: Database, subject: str) -> list[tuple[EventKind, str]]:
    return [(event.kind, event.actor) for event in await audit.events_of(db, subject)]


async def test_what_is_in_force_is_published_as_the_proxy_decides_by_it(db: Database) -> None:
    for new in (WORM, PARKS, DEVICE, FILTER):
        await begin(db, new)
    assert await measures.live(db, MONDAY) == InForce(
        lockdowns=(
            Lockdown("A worm goes round.", MONDAY),
            Lockdown("Parks is being cleaned.", MONDAY, "parks", datetime(2026, 3, 2, 16, 0, tzinfo=UTC)),
        ),
        devices_off=(DeviceOff("10.10.20.7", "It sends mail by itself.", MONDAY),),
        filter_off=FilterOff("The lists are bad.", MONDAY, MONDAY + TEN_MINUTES),
    )


@pytest.mark.parametrize(
    ("new", "subject", "begun", "ended"),
    [
        (WORM, "lockdown", EventKind.LOCKDOWN_BEGUN, EventKind.LOCKDOWN_ENDED),
        (PARKS, "lockdown parks", EventKind.LOCKDOWN_BEGUN, EventKind.LOCKDOWN_ENDED),
        (DEVICE, "device_off 10.10.20.7", EventKind.DEVICE_TAKEN_OFF, EventKind.DEVICE_LET_BACK),
        (FILTER, "filter_off", EventKind.FILTER_SWITCHED_OFF, EventKind.FILTER_SWITCHED_ON),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
async def test_beginning_and_ending_is_kept_with_its_actor_and_audited(
    db: Database, new: NewMeasure, subject: str, begun: EventKind, ended: EventKind
) -> None:
    await begin(db, new, actor="root at the command line")
    over = await end(db, new, MONDAY + timedelta(minutes=5))
    assert over.began_by == "root at the command line"
    assert (over.ended_by, over.ended_at) == (IT, MONDAY + timedelta(minutes=5))
    assert await measures.live(db, MONDAY + timedelta(minutes=5)) == InForce()
    assert await measures.latest(db, 10) == [over]
    assert await events(db, subject) == [(begun, "root at the command line"), (ended, IT)]
    assert (await audit.events_of(db, subject))[0].details["because"] == new.because
    assert (await audit.verify(db)).is_whole


@pytest.mark.parametrize("new", [WORM, DEVICE, FILTER], ids=lambda new: new.kind)
async def test_beginning_twice_changes_nothing_says_how_it_stands_and_is_on_record(
    db: Database, new: NewMeasure
) -> None:
    first = await begin(db, new)
    with pytest.raises(AlreadySoError) as told:
        await begin(db, new, MONDAY + timedelta(minutes=1), actor="it-2")
    assert told.value.measure == first
    assert await measures.latest(db, 10) == [first]
    name = f"{new.kind.value} {new.subject}".strip()
    assert (await events(db, name))[-1] == (EventKind.EMERGENCY_REFUSED, "it-2")


async def test_ending_what_never_began_is_told_and_on_record(db: Database) -> None:
    with pytest.raises(AlreadySoError) as told:
        await end(db, WORM)
    assert told.value.measure is None
    assert await events(db, "lockdown") == [(EventKind.EMERGENCY_REFUSED, IT)]


async def test_ending_twice_tells_who_ended_it_first(db: Database) -> None:
    await begin(db, WORM)
    first = await end(db, WORM)
    with pytest.raises(AlreadySoError) as told:
        await end(db, WORM, MONDAY + TEN_MINUTES)
    assert told.value.measure == first


async def test_of_two_people_who_begin_the_same_at_once_one_is_first(db: Database) -> None:
    results = await asyncio.gather(
        begin(db, WORM, actor="it"), begin(db, WORM, actor="it-2"), return_exceptions=True
    )
    (begun,) = [result for result in results if isinstance(result, Measure)]
    (told,) = [result for result in results if isinstance(result, AlreadySoError)]
    assert told.measure == begun
    assert len((await measures.live(db, MONDAY)).lockdowns) == 1


async def test_who_ends_what_they_saw_never_ends_what_began_since(db: Database) -> None:
    seen = await begin(db, WORM)
    await end(db, WORM)
    later = await begin(db, WORM)
    with pytest.raises(AlreadySoError) as told:
        await end(db, WORM, seen=seen.id)
    assert told.value.measure is not None and told.value.measure.id == seen.id
    assert (await measures.get(db, later.id)).is_in_force_at(MONDAY)


async def test_news_say_anew_why_and_when_while_the_lockdown_goes_on(db: Database) -> None:
    begun = await begin(db, PARKS)
    news = measures.lockdown_news(TOWN, "parks", "Half of Parks is clean.", "14:00", MONDAY + TEN_MINUTES)
    told = await measures.give_news(db, news, actor="it-2", at=MONDAY + TEN_MINUTES, seen=begun.id)
    assert (told.id, told.began_at, told.began_by) == (begun.id, MONDAY, IT)
    (lockdown,) = (await measures.live(db, MONDAY)).lockdowns
    assert lockdown.because == "Half of Parks is clean."
    assert lockdown.next_news_at == datetime(2026, 3, 2, 19, 0, tzinfo=UTC)
    assert await events(db, "lockdown parks") == [
        (EventKind.LOCKDOWN_BEGUN, IT),
        (EventKind.LOCKDOWN_NEWS_GIVEN, "it-2"),
    ]


async def test_news_of_what_is_over_are_refused_and_on_record(db: Database) -> None:
    begun = await begin(db, WORM)
    await end(db, WORM)
    for seen in (None, begun.id):
        with pytest.raises(AlreadySoError) as told:
            await measures.give_news(db, WORM, actor=IT, at=MONDAY, seen=seen)
        assert told.value.measure is not None and told.value.measure.ended_by == IT
    later = await begin(db, WORM)
    with pytest.raises(AlreadySoError):
        await measures.give_news(db, PARKS, actor=IT, at=MONDAY)
    news = measures.lockdown_news(TOWN, EVERYONE, "Another.", "", MONDAY)
    with pytest.raises(AlreadySoError):
        await measures.give_news(db, news, actor=IT, at=MONDAY, seen=begun.id)
    assert await measures.get(db, later.id) == later
    assert (await events(db, "lockdown"))[-1] == (EventKind.EMERGENCY_REFUSED, IT)


async def test_filter_comes_on_by_itself_and_can_be_switched_off_again(db: Database) -> None:
    first = await begin(db, FILTER)
    after = MONDAY + TEN_MINUTES
    assert first.is_in_force_at(after - timedelta(milliseconds=1)) and not first.is_in_force_at(after)
    assert (await measures.live(db, after)).filter_off is None
    with pytest.raises(AlreadySoError):
        await end(db, FILTER, after)
    again = await begin(db, measures.filter_off("1h", "Still bad.", after), after)
    over = await measures.get(db, first.id)
    assert (over.ended_at, over.ended_by) == (after, None)
    assert await measures.all_in_force(db, after) == [again]


async def test_lockdowns_of_everyone_and_of_a_department_end_apart(db: Database) -> None:
    await begin(db, WORM)
    await begin(db, PARKS)
    await end(db, WORM)
    assert [lockdown.department for lockdown in (await measures.live(db, MONDAY)).lockdowns] == ["parks"]


async def test_every_change_is_counted_for_publishing(db: Database) -> None:
    async def change() -> int:
        row = await db.fetch_one("SELECT change FROM publication")
        assert row is not None
        return int(row["change"])

    counts = [await change()]
    await begin(db, WORM)
    counts.append(await change())
    await end(db, WORM)
    counts.append(await change())
    assert counts == sorted(set(counts))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("11:00", datetime(2026, 3, 2, 16, 0, tzinfo=UTC)),
        ("9:00", datetime(2026, 3, 3, 14, 0, tzinfo=UTC)),
        ("2026-03-09 08:30", datetime(2026, 3, 9, 12, 30, tzinfo=UTC)),
    ],
    ids=["later today", "tomorrow", "another day, after the clock went forward"],
)
def test_next_news_are_read_by_the_towns_clock(text: str, at: datetime) -> None:
    assert measures.lockdown(TOWN, EVERYONE, "Why", text, MONDAY).next_news_at == at


@pytest.mark.parametrize("device", ["FIN-PC-15", "fin-pc-15", "127.0.0.1", "::ffff:127.0.0.1"])
def test_device_is_named_by_its_name_or_its_address(device: str) -> None:
    assert measures.device_off(TOWN, device, "Why").subject == "127.0.0.1"


def test_reason_is_one_line_without_what_nobody_can_see() -> None:
    text = "  <b>A worm</b>\r\n goes  round\u202e.\x00 "
    assert measures.device_off(TOWN, "10.0.0.1", text).because == "<b>A worm</b> goes round."


@pytest.mark.parametrize(
    ("make", "field", "message"),
    [
        (lambda: measures.device_off(TOWN, "10.0.0.1", " \n"), "because", "Enter why; people read it"),
        (
            lambda: measures.device_off(TOWN, "10.0.0.1", "x" * 301),
            "because",
            "Use 300 characters at most; this has 301",
        ),
        (
            lambda: measures.lockdown(TOWN, "finanse", "Why", "", MONDAY),
            "department",
            "'finanse' is not a department of the policy (nearest: 'finance')",
        ),
        (
            lambda: measures.device_off(TOWN, "10.0.0.256", "Why"),
            "device",
            "'10.0.0.256' is neither an IP address nor a device of the policy",
        ),
        (
            lambda: measures.device_off(TOWN, "FIN-PC-51", "Why"),
            "device",
            "'FIN-PC-51' is neither an IP address nor a device of the policy (nearest: 'FIN-PC-15')",
        ),
        (
            lambda: measures.lockdown(TOWN, EVERYONE, "Why", "soon", MONDAY),
            "next_news",
            '\'soon\' is not a time; write it like "11:00" or "2026-03-02 11:00"',
        ),
        (
            lambda: measures.lockdown(TOWN, EVERYONE, "Why", "2026-03-02 09:59", MONDAY),
            "next_news",
            "2026-03-02 09:59 is over; say when people will hear more",
        ),
        (
            lambda: measures.filter_off("5h", "Why", MONDAY),
            "lasts",
            "The filter is off for 1m to 4h at a time, not for 5h",
        ),
        (lambda: measures.filter_off("0m", "Why", MONDAY), "lasts", "not for 0m"),
        (
            lambda: measures.filter_off("ten", "Why", MONDAY),
            "lasts",
            "'ten' is not how long; write it like 10m or 2h",
        ),
        (lambda: measures.filter_off("", "Why", MONDAY), "lasts", "Enter for how long, like 10m or 2h"),
    ],
    ids=range(11),
)
def test_what_cannot_be_done_is_said_at_its_field(make: object, field: str, message: str) -> None:
    with pytest.raises(InvalidRequestError) as error:
        make()  # type: ignore[operator]
    assert error.value.field == field
    assert message in str(error.value)


@pytest.mark.parametrize("kind", list(MeasureKind))
async def test_who_may_not_act_is_on_record(db: Database, kind: MeasureKind) -> None:
    await measures.refuse(db, kind, "", actor="clerk", at=MONDAY, why="only IT security")
    assert await events(db, kind.value) == [(EventKind.EMERGENCY_REFUSED, "clerk")]
