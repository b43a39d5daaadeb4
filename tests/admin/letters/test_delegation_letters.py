"""Mails to who stands in for a head: that they were named, from when until when, and that it was ended."""

from datetime import date, timedelta

from admin.delegations import Delegations
from admin.sessions import Level, Session
from tests.admin.letters.test_delivery import Sending
from tests.admin.letters.test_wording import ADMIN_URL, LATER, arrived, sending, text_of
from tests.admin.small_town import CLERK, DELEGATE, HEAD

__all__ = ["sending"]

FIRST, LAST = date(2026, 3, 3), date(2026, 3, 5)


def of_head(town: Sending) -> tuple[Delegations, Session]:
    session = Session(1, Level.SIGNED_IN, HEAD, None, "b", "c", LATER, LATER + timedelta(days=30))
    return Delegations(town.db, lambda: town.policy, lambda: town.policy, town.clock), session


async def said_to(town: Sending, person: str) -> list[tuple[str, str]]:
    mails = (await arrived(town))[person]
    # Long subjects come folded.
    return [(" ".join(mail["Subject"].split()), " ".join(text_of(mail).split())) for mail in mails]


async def test_who_is_named_is_told_by_whom_until_when_and_what_it_means(sending: Sending) -> None:
    delegations, head = of_head(sending)
    await delegations.name(head, "finance", CLERK, FIRST, LAST)
    ((subject, text),) = await said_to(sending, CLERK)
    assert subject == "[DEL-1] You stand in for Head of Finance, Tue, March 3 to Thu, March 5"
    for said in (
        "Head of Finance named you to stand in for them in Finance. It ends by itself.",
        "Meanwhile you answer what waits for them, as they still can.",
        "You decide nothing of your own or of Head of Finance, and cannot name anybody else.",
        "First day: Tue, March 3",
        "Last day: Thu, March 5",
        "Named by: Head of Finance",
        f"{ADMIN_URL}/delegation",
    ):
        assert said in text, said


async def test_who_stands_in_is_told_that_it_was_ended_early(sending: Sending) -> None:
    delegations, head = of_head(sending)
    for person in (CLERK, DELEGATE):
        await delegations.name(head, "finance", person, FIRST, LAST)
    for id_ in (1, 2):
        await delegations.end(head, id_)
    _, (subject, text) = await said_to(sending, CLERK)
    assert subject == "[DEL-1] You no longer stand in for Head of Finance"
    assert "You were named for Tue, March 3 to Thu, March 5." in text
    assert "You no longer answer requests of Finance. What you decided stays." in text
    *_, (_, text) = await said_to(sending, DELEGATE)
    assert "You still answer requests of Finance, as its delegate." in text, "the policy names them"


async def test_what_is_over_before_its_mail_could_be_sent_is_not_told(sending: Sending) -> None:
    delegations, head = of_head(sending)
    await delegations.name(head, "finance", CLERK, FIRST, LAST)
    sending.clock.at += timedelta(days=4)
    assert await arrived(sending) == {}


async def test_who_is_named_for_a_day_is_told_the_day_alone(sending: Sending) -> None:
    delegations, head = of_head(sending)
    await delegations.name(head, "finance", CLERK, FIRST, FIRST)
    ((subject, _),) = await said_to(sending, CLERK)
    assert subject == "[DEL-1] You stand in for Head of Finance, Tue, March 3"
