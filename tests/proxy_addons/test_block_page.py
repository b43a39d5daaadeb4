"""The page in place of a site: its words, its size, and what it never says."""

import random
import re
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from html.parser import HTMLParser
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from categories.match import CategoryMatch
from categories.taxonomy import taxonomy
from policy import deciding
from policy.ask_token import AskToken
from policy.business_time import OFFICE_HOURS
from policy.decision import Cause, Decision, Verdict
from policy.file_types import FILE_TYPES
from policy.limiting import stopping
from policy.schedule import Schedule
from policy.state import DeviceOff, Lockdown, State
from policy.town_policy import (
    Approver,
    Department,
    Device,
    Limit,
    LimitAction,
    Notice,
    Per,
    Person,
    Policy,
    Quota,
    Rule,
    Town,
    UnknownAction,
)
from policy.visit import Client, Visit
from proxy_addons import page_for_decision
from proxy_addons.block_page import BlockPage, Emergency, OverLimit, Variant
from proxy_addons.origin_certificate import OriginFault, OriginRefusal
from proxy_addons.page_for_decision import page_for
from proxy_addons.page_html import PAGE_HEADERS, is_document, render, render_short
from tests import people
from tests.browsing import StartBrowser, violations

FRIDAY_MORNING = datetime(2026, 3, 6, 15, 14, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
NOT_TOWN_BUSINESS = Rule(
    id="not-town-business",
    action=Verdict.BLOCK,
    categories=frozenset({"gambling", "shopping"}),
    because="Acceptable Use Policy, Prohibited Uses 18",
    approval=(Approver.DEPARTMENT_HEAD,),
)
LUNCH = Rule(id="lunch", action=Verdict.ALLOW, categories=frozenset({"shopping"}), when="lunch")
POLICY = Policy(
    version="1",
    town=Town("Town of Exampleton", "America/New_York", "helpdesk@town.example", "555-0100"),
    departments={"finance": Department("Finance", head=people.HEAD, networks=(ip_network("10.10.20.0/24"),))},
    people={
        people.CLERK: Person("Clara Reyes", department="finance"),
        people.HEAD: Person("Henry Okafor", department="finance"),
    },
    devices={"127.0.0.1": Device("FIN-PC-15", person=people.CLERK)},
    schedules={"lunch": Schedule(frozenset(range(5)), time(12), time(13))},
    security_categories=frozenset({"phishing"}),
    rules=(LUNCH, NOT_TOWN_BUSINESS),
)
LONG_CLAUSE = "Acceptable Use Policy, Prohibited Uses 5 and 18: no employee may use the web for gain. " * 3
PAGE = BlockPage(
    Variant.POLICY, "Town of Exampleton", "cardroom.example", "K7M-4QP", FRIDAY_MORNING, NEW_YORK
)


def words(html: bytes) -> str:
    """Return what a reader sees, details included, in one line."""
    seen: list[str] = []

    class Reader(HTMLParser):
        hidden = False

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.hidden = tag in ("style", "title")

        def handle_endtag(self, tag: str) -> None:
            self.hidden = False

        def handle_data(self, data: str) -> None:
            if not self.hidden:
                seen.append(data)

    Reader().feed(html.decode())
    return " ".join(" ".join(seen).replace("\u00a0", " ").split()).replace(" ,", ",").replace(" .", ".")


def english(html: bytes) -> str:
    return words(html.partition(b'<details lang="es">')[0])


def spanish(html: bytes) -> str:
    return words(html.partition(b'<details lang="es">')[2])


def shown(
    decision: Decision,
    host: str = "cardroom.example",
    client: Client = people.CLERK_AT_WORK,
    policy: Policy = POLICY,
    at: datetime = FRIDAY_MORNING,
    *,
    state: State | None = None,
    admin_url: str | None = "http://127.0.0.1:8000",
    origin_refusal: OriginRefusal | None = None,
) -> tuple[int, bytes]:
    matches = (decision.match,) if decision.match else ()
    visit = Visit(client, "https", host, 443, None, at, matches)
    return page_for(
        decision,
        visit,
        policy,
        state or State(),
        taxonomy(),
        admin_url=admin_url,
        token="t0ken",
        code="K7M-4QP",
        at=at,
        origin_refusal=origin_refusal,
    )


NOT_PROVEN = Decision(Verdict.ALLOW, Cause.CERTIFICATE)


def blocked(category: str = "gambling", entry: str = "cardroom.example") -> Decision:
    return Decision(
        Verdict.BLOCK,
        Cause.RULE,
        rule=NOT_TOWN_BUSINESS.id,
        match=CategoryMatch(category, entry, "UT1"),
        because=NOT_TOWN_BUSINESS.because,
        approval=("department_head",),
    )


def risk(category: str = "phishing") -> Decision:
    match = CategoryMatch(category, "phish.example", "UT1")
    return Decision(Verdict.BLOCK, Cause.SECURITY_RISK, match=match, approval=("it_security",))


def test_policy_block_says_what_why_who_and_how_to_ask() -> None:
    status, html = shown(blocked())
    assert status == 403
    text = english(html)
    for said in (
        "This site is blocked",
        "cardroom.example is listed as Gambling. The town does not allow gambling sites on its computers.",
        "Policy Acceptable Use Policy, Prohibited Uses 18",
        "Who can allow it Your department head, Henry Okafor",
        "Ask for access",
        "Help desk 555-0100, code K7M-4QP",
        "Rule not-town-business",
        "Time Fri, March 6, 10:14 AM",
        "List UT1: cardroom.example, gambling",
        "Seen as Clara Reyes, Finance",
    ):
        assert said in text, said
    assert b'href="http://127.0.0.1:8000/ask?token=t0ken"' in html
    assert b"<title>This site is blocked - Town of Exampleton</title>" in html


def test_policy_block_says_the_same_in_spanish() -> None:
    text = spanish(shown(blocked())[1])
    for said in (
        "Este sitio está bloqueado",
        "cardroom.example figura en la categoría “juegos de azar”",
        "La jefatura de su departamento, Henry Okafor",
        "Pedir acceso",
        "Servicio de ayuda 555-0100, código K7M-4QP",
    ):
        assert said in text, said


def test_every_category_has_its_spanish_word() -> None:
    for category in taxonomy().categories:
        page = replace(PAGE, category=category, label="x", sites="x")
        assert "figura en la categoría" in spanish(render(page)), category


def test_security_page_warns_about_passwords_and_offers_it_alone() -> None:
    status, html = shown(risk(), host="phish.example")
    assert status == 403
    text = english(html)
    assert "Stopped to protect you" in text
    assert (
        "phish.example is on a list of sites made to steal passwords. Nothing was loaded. "
        "If you typed a password there before, call 555-0100 now. Only IT can open it."
    ) in text
    assert "Ask IT" in text and "department head" not in text
    assert b'<main class="danger">' in html


def test_rule_that_names_a_security_risk_gets_the_security_page() -> None:
    decision = replace(risk(), cause=Cause.RULE, rule="security-risk")
    assert "Stopped to protect you" in english(shown(decision)[1])


def test_site_that_a_schedule_opens_says_when() -> None:
    text = english(shown(blocked("shopping", "shop.example"), host="shop.example")[1])
    assert "Opens at 12 PM today" in text
    assert "shop.example is listed as Shopping. Personal use is open 12 to 1 PM, Mon to Fri." in text
    assert "Ask to use it now" in text


def test_site_that_several_schedules_open_says_each_of_them_and_no_other_sites() -> None:
    hours = {
        "evening": Schedule(frozenset(range(5)), time(17), time(22)),
        "weekend": Schedule(frozenset({5}), time(8), time(20)),
        "night": Schedule(frozenset(range(5)), time(22), time(23)),
    }
    categories = {"evening": "shopping", "weekend": "shopping", "night": "gambling"}
    opening = [replace(LUNCH, id=id_, when=id_, categories=frozenset({of})) for id_, of in categories.items()]
    policy = replace(
        POLICY, schedules={**POLICY.schedules, **hours}, rules=(LUNCH, *opening, NOT_TOWN_BUSINESS)
    )
    html = shown(blocked("shopping", "shop.example"), host="shop.example", policy=policy)[1]
    assert (
        "Opens at 12 PM today shop.example is listed as Shopping. "
        "Personal use is open 12 to 1 PM and 5 to 10 PM, Mon to Fri; 8 AM to 8 PM, Sat."
    ) in english(html)
    assert "de 12 a 1 p. m. y de 5 a 10 p. m., de lun a vie; de 8 a. m. a 8 p. m., sáb." in spanish(html)


@pytest.mark.parametrize(
    ("at", "said", "in_spanish"),
    [
        (datetime(2026, 3, 5, 18, 0, tzinfo=UTC), "Opens at 12 PM tomorrow", "Se abre mañana a las 12 p. m."),
        (
            datetime(2026, 3, 6, 18, 0, tzinfo=UTC),
            "Opens at 12 PM on Mon, March 9",
            "Se abre el lun 9 de marzo a las 12 p. m.",
        ),
    ],
)
def test_opening_on_another_day_names_the_day(at: datetime, said: str, in_spanish: str) -> None:
    _, html = shown(blocked("shopping", "shop.example"), at=at)
    assert said in english(html)
    assert in_spanish in spanish(html)


def test_page_of_a_site_that_many_schedules_never_open_decides_once_for_each_set_of_hours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"lesson {hour}" for hour in range(6, 18)]
    hours = {
        name: Schedule(frozenset(range(7)), time(hour), time(hour, 50)) for hour, name in enumerate(names, 6)
    }
    shut = [replace(NOT_TOWN_BUSINESS, id=name, when=name) for name in names]
    policy = replace(POLICY, schedules=hours, rules=(*shut, NOT_TOWN_BUSINESS))
    decided = []

    def decide(visit: Visit, *args: Any) -> Decision:
        decided.append(visit.at)
        return deciding.decide(visit, *args)

    monkeypatch.setattr(page_for_decision, "decide", decide)
    assert "This site is blocked" in english(shown(blocked(), policy=policy)[1])
    # Each lesson, but the one that goes on; the pause between two is like the one before it.
    assert len(decided) == len(names)


def test_schedule_of_another_department_opens_nothing() -> None:
    elsewhere = replace(POLICY, rules=(replace(LUNCH, departments=frozenset({"parks"})), NOT_TOWN_BUSINESS))
    assert "This site is blocked" in english(shown(blocked("shopping", "shop.example"), policy=elsewhere)[1])


def test_block_that_ends_with_its_schedule_says_when_without_promising_personal_use() -> None:
    timed = replace(POLICY, rules=(replace(NOT_TOWN_BUSINESS, when="lunch"),))
    at = datetime(2026, 3, 6, 17, 30, tzinfo=UTC)
    text = english(shown(blocked(), policy=timed, at=at)[1])
    assert "Opens at 1 PM today" in text
    assert "Personal use" not in text


def test_rule_about_people_does_not_blame_the_sites_category() -> None:
    about_people = Rule(id="kiosk", action=Verdict.BLOCK, departments=frozenset({"finance"}))
    decision = replace(blocked("education", "school.example"), rule="kiosk")
    text = english(shown(decision, host="school.example", policy=replace(POLICY, rules=(about_people,)))[1])
    assert "school.example is not on a list of sites that the town allows." in text
    assert "Education" not in text


def test_without_the_admin_site_the_page_gives_phone_and_code() -> None:
    _, html = shown(blocked(), admin_url=None)
    assert "Asking is not available right now. Call 555-0100 and give the code." in english(html)
    assert b"/ask?" not in html


def test_notice_is_read_and_accepted_at_the_admin_site() -> None:
    policy = replace(POLICY, notice=Notice("1", "Acceptable use of computers", "Sites are recorded."))
    status, html = shown(Decision(Verdict.BLOCK, Cause.NOTICE), host="library.example", policy=policy)
    assert status == 403
    assert (
        "Before you use the web Before library.example opens, read and accept the town's policy. "
        "You do this once, and again when it changes. Policy Acceptable use of computers Read and accept"
    ) in english(html)
    assert "Antes de usar la web" in spanish(html) and "Leer y aceptar" in spanish(html)
    assert b'href="http://127.0.0.1:8000/notice?token=t0ken"' in html

    _, html = shown(Decision(Verdict.BLOCK, Cause.NOTICE), policy=policy, admin_url=None)
    assert "It cannot be accepted right now. Call 555-0100 and give the code." in english(html)
    assert "Por ahora no es posible aceptarla." in spanish(html)


def warning(category: str, host: str) -> bytes:
    match = CategoryMatch(category, host, "UT1")
    decision = replace(blocked(), verdict=Verdict.WARN, match=match, approval=())
    visit = Visit(people.CLERK_AT_WORK, "https", host, 443, None, FRIDAY_MORNING)
    policy = replace(POLICY, rules=(replace(NOT_TOWN_BUSINESS, action=Verdict.WARN),))
    status, html = page_for(
        decision,
        visit,
        policy,
        State(),
        taxonomy(),
        admin_url=None,
        token=None,
        code="K7M-4QP",
        at=FRIDAY_MORNING,
        continue_url="/go?token=a",
    )
    assert status == 403
    return html


def test_warning_says_why_and_has_one_form_for_both_languages() -> None:
    html = warning("shopping", "shop.example")
    assert (
        "Before you go on shop.example is listed as Shopping. "
        "If you go on, you are not asked again for 8 hours. Visits are recorded. "
        "Policy Acceptable Use Policy, Prohibited Uses 18 Continue to shop.example Leave"
    ) in english(html)
    assert "Continuar a shop.example Salir" in spanish(html)
    assert html.count(b"<form ") == 1 and html.count(b'form="continue"') == 2
    assert b'class="danger"' not in html


def test_warning_of_a_security_risk_looks_like_danger() -> None:
    html = warning("phishing", "phish.example")
    assert b'<main class="danger">' in html
    assert "phish.example is on a list of sites made to steal passwords." in english(html)
    assert "phish.example está en una lista de sitios peligrosos: robo de contraseñas." in spanish(html)


def test_nobody_to_ask_means_no_button_and_no_apology() -> None:
    _, html = shown(replace(blocked(), approval=()), admin_url=None)
    assert "Ask" not in english(html) and "Help desk 555-0100" in english(html)


def test_heads_own_visit_is_for_the_town_administrator() -> None:
    head = replace(people.CLERK_AT_WORK, person=people.HEAD)
    text = english(shown(blocked(), client=head)[1])
    assert "Who can allow it The town administrator" in text


def test_chain_of_approvers_is_named_in_turn() -> None:
    decision = replace(blocked(), approval=("department_head", "it_security"))
    assert "Your department head, Henry Okafor, then IT security" in english(shown(decision)[1])


def test_network_alone_is_seen_as_its_department() -> None:
    client = Client("10.10.20.9", department="finance")
    text = english(shown(blocked(), client=client)[1])
    assert "Seen as Finance" in text
    assert "10.10.20.9" not in text


@pytest.mark.parametrize(
    ("cause", "status", "heading"),
    [
        (Cause.FAULT, 503, "We could not check this site So it was not opened. The problem is ours."),
        (Cause.UNREACHABLE, 502, "This site did not answer cardroom.example is not blocked"),
        (Cause.CERTIFICATE, 502, "This site could not prove who it is"),
        (Cause.UNKNOWN_CLIENT, 403, "This computer is not known yet"),
        (Cause.PRIVATE_ADDRESS, 403, "This address is not on the public web"),
        (Cause.PORT, 403, "This kind of connection is not open"),
        (Cause.MISMATCH, 403, "This connection names two sites"),
        (Cause.MALFORMED, 400, "This address could not be read"),
        (Cause.NOT_TLS, 400, "This address could not be read"),
        (Cause.LOCKDOWN, 403, "The web is limited right now IT did this."),
        (Cause.DEVICE_OFF, 403, "This device is off the web IT did this."),
        (Cause.DEFAULT, 403, "This site is blocked cardroom.example is not on a list"),
    ],
)
def test_every_cause_has_its_page(cause: Cause, status: int, heading: str) -> None:
    answered, html = shown(Decision(Verdict.BLOCK, cause))
    assert answered == status
    assert heading in english(html)
    assert "cardroom.example" in english(html)
    assert b"/ask?" not in html


@pytest.mark.parametrize(
    ("fault", "said", "in_spanish"),
    [
        (OriginFault.ENDED, "ended on Tue, March 3", "venció el mar 3 de marzo"),
        (OriginFault.NOT_BEGUN, "is not valid before Tue, March 3", "empieza el mar 3 de marzo"),
        (OriginFault.OTHER_SITE, "is another site's", "es de otro sitio"),
        (OriginFault.UNKNOWN_ISSUER, "has an unknown issuer", "es de un emisor desconocido"),
        (OriginFault.TOO_WEAK, "is too weak", "es demasiado débil"),
        (OriginFault.REVOKED, "was taken back by its issuer", "fue retirado por quien lo emitió"),
        (OriginFault.UNPROVEN, "came without the proof that it asks for", "llegó sin la prueba que exige"),
        (OriginFault.TOWNS_OWN, "claims to be the town's own", "dice ser del municipio"),
        (OriginFault.INVALID, "breaks the rules for certificates", "no cumple las reglas"),
    ],
)
def test_certificate_page_says_what_is_wrong_and_has_no_way_on(
    fault: OriginFault, said: str, in_spanish: str
) -> None:
    at = datetime(2026, 3, 3, 17, tzinfo=UTC) if "3" in said else None

    status, html = shown(NOT_PROVEN, origin_refusal=OriginRefusal(fault, "in OpenSSL's words", at))

    assert status == 502
    assert (
        f"This site could not prove who it is Its certificate {said}. Nothing was sent."
        " Site cardroom.example Tell IT Help desk 555-0100, code K7M-4QP"
    ) in english(html)
    assert f"Este sitio no pudo demostrar quién es Su certificado {in_spanish}" in spanish(html).replace(
        "todavía no es válido: ", ""
    )
    assert "No se envió nada." in spanish(html)
    assert b"OpenSSL" not in html
    assert html.count(b"<a ") == 2


def test_connection_without_safe_encryption_is_not_blamed_on_the_certificate() -> None:
    _, html = shown(NOT_PROVEN, origin_refusal=OriginRefusal(OriginFault.WEAK_CONNECTION, "x"))
    assert "It offers no encryption that is safe. Nothing was sent." in english(html)
    assert "No ofrece ningún cifrado seguro. No se envió nada." in spanish(html)


def test_certificate_that_ended_another_year_is_said_with_it() -> None:
    ended = OriginRefusal(OriginFault.ENDED, "x", datetime(2024, 1, 3, 17, tzinfo=UTC))
    _, html = shown(NOT_PROVEN, origin_refusal=ended)
    assert "ended on Wed, January 3, 2024. Nothing" in english(html)


def test_tell_it_is_a_mail_that_names_code_and_site() -> None:
    _, html = shown(NOT_PROVEN, origin_refusal=OriginRefusal(OriginFault.OTHER_SITE, "x"))
    assert b'href="mailto:helpdesk@town.example?subject=K7M-4QP%3A%20cardroom.example"' in html

    without = replace(POLICY, town=replace(POLICY.town, help_desk_email=""))
    _, html = shown(NOT_PROVEN, policy=without, origin_refusal=OriginRefusal(OriginFault.OTHER_SITE, "x"))
    assert b"<a " not in html


LIMITED = replace(
    POLICY,
    essentials=frozenset({"dispatch.example", "town.example"}),
    works_in_lockdown=frozenset({"vendor.example"}),
)
WORM = Lockdown(
    "A worm goes round.",
    since=datetime(2026, 3, 6, 14, 40, tzinfo=UTC),
    next_news_at=datetime(2026, 3, 6, 16, 0, tzinfo=UTC),
)
LOCKED_DOWN = Decision(Verdict.BLOCK, Cause.LOCKDOWN)
TAKEN_OFF = Decision(Verdict.BLOCK, Cause.DEVICE_OFF)


def test_lockdown_page_says_since_when_why_what_still_works_and_when_there_is_news() -> None:
    status, html = shown(LOCKED_DOWN, policy=LIMITED, state=State(lockdowns=[WORM]))
    assert status == 403
    text = english(html)
    for said in (
        "The web is limited right now IT did this at 9:40 AM."
        " These still work: dispatch.example, town.example, vendor.example. Next news by 11 AM."
        " For emergency access, call 555-0100 and give the code.",
        "Site cardroom.example",
        "Why A worm goes round.",
        "Still open The town's web access site",
        "Help desk 555-0100, code K7M-4QP",
    ):
        assert said in text, said
    assert b'href="http://127.0.0.1:8000/"' in html
    assert "Ask" not in text and b"/ask?" not in html and b'<main class="danger">' not in html


def test_lockdown_page_says_the_same_in_spanish() -> None:
    text = spanish(shown(LOCKED_DOWN, policy=LIMITED, state=State(lockdowns=[WORM]))[1])
    for said in (
        "La web está limitada por ahora A las 9:40 a. m. lo hizo el equipo de informática."
        " Siguen funcionando: dispatch.example, town.example, vendor.example."
        " A más tardar a las 11 a. m. habrá más noticias."
        " Para un acceso de emergencia, llame al 555-0100 y dé el código.",
        "Por qué A worm goes round.",
        "Sigue abierto El sitio de acceso a la web del municipio",
    ):
        assert said in text, said


def test_lockdown_of_days_ago_is_said_with_its_day_and_without_news_that_are_over() -> None:
    text = shown(LOCKED_DOWN, state=State(lockdowns=[WORM]), at=FRIDAY_MORNING + timedelta(days=2))[1]
    assert "IT did this on Fri, March 6, 9:40 AM." in english(text)
    assert "Next news" not in english(text) and "These still work" not in english(text)
    assert "El vie 6 de marzo a las 9:40 a. m. lo hizo" in spanish(text)


def test_lockdown_page_of_a_department_gives_that_departments_reason() -> None:
    theirs = replace(WORM, because="Finance is being cleaned.", department="finance")
    others = replace(WORM, because="Parks is being cleaned.", department="parks")
    text = english(shown(LOCKED_DOWN, state=State(lockdowns=[others, theirs]))[1])
    assert "Why Finance is being cleaned." in text


def test_lockdown_page_names_eight_sites_and_counts_the_others() -> None:
    many = replace(POLICY, essentials=frozenset(f"site{n}.example" for n in range(10)))
    text = english(shown(LOCKED_DOWN, policy=many, state=State(lockdowns=[WORM]))[1])
    assert "site7.example and 2 more." in text and "site8" not in text


def test_page_for_a_device_that_was_taken_off_promises_no_other_site() -> None:
    off = DeviceOff(people.CLERK_AT_WORK.address, "It sends mail by itself.", WORM.since)
    text = english(shown(TAKEN_OFF, policy=LIMITED, state=State(devices_off=[off]))[1])
    assert "This device is off the web IT did this at 9:40 AM." in text
    assert "Why It sends mail by itself." in text
    assert "These still work" not in text and "dispatch.example" not in text


def test_reason_with_markup_is_text() -> None:
    marked = replace(WORM, because="<b onclick=alert(1)>worm</b>")
    _, html = shown(LOCKED_DOWN, state=State(lockdowns=[marked]))
    assert b"<b onclick" not in html and b"&lt;b onclick=alert(1)&gt;worm" in html


def test_unknown_client_who_may_sign_in_is_told_how() -> None:
    policy = replace(POLICY, unknown=UnknownAction.SIGN_IN)
    text = english(shown(Decision(Verdict.BLOCK, Cause.UNKNOWN_CLIENT), policy=policy)[1])
    assert "Sign in to use the web" in text


@pytest.mark.parametrize(
    ("case", "decision", "offered"),
    [
        ("policy", blocked(), {"wrong-category", "accident"}),
        ("nobody can be asked", replace(blocked(), approval=()), {"wrong-category", "accident"}),
        ("security", risk(), {"wrong-category"}),
        ("opens later", blocked("shopping", "shop.example"), {"wrong-category"}),
        ("warned of", replace(blocked(), verdict=Verdict.WARN), {"wrong-category"}),
        ("listed as nothing", Decision(Verdict.BLOCK, Cause.DEFAULT), set()),
        ("trouble", Decision(Verdict.BLOCK, Cause.FAULT), set()),
    ],
)
def test_page_lets_a_person_say_that_the_list_is_wrong_or_that_it_was_an_accident(
    case: str, decision: Decision, offered: set[str]
) -> None:
    html = shown(decision, host=decision.match.entry if decision.match else "library.example")[1]
    links = set(re.findall(rb'href="http://127.0.0.1:8000/(wrong-category|accident)\?token=t0ken"', html))
    assert {link.decode() for link in links} == offered, case
    words = ("This is the wrong category", "I came here by accident", "La categoría no es correcta")
    assert [said in english(html) for said in words[:2]] == [
        "wrong-category" in offered,
        "accident" in offered,
    ]
    assert (words[2] in spanish(html)) == ("wrong-category" in offered)
    assert b"/wrong-category" not in shown(decision, admin_url=None)[1]


def test_links_of_a_usual_host_fit_and_those_of_an_endless_one_are_left_out() -> None:
    letters = random.Random(7)
    endless = "".join(letters.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(245)) + ".example"
    decision = replace(blocked(), because=LONG_CLAUSE)
    for host, links in (("play.cardroom-of-the-county.example", 6), (endless, 2)):
        visit = Visit(people.CLERK_AT_WORK, "https", host, 443, None, FRIDAY_MORNING)
        token = AskToken(
            host=host,
            category="gambling",
            entry=host,
            source="ut1",
            rule="not-town-business",
            approval=("department_head", "it_security"),
            person="clara.reyes",
            device="FIN-PC-15",
            department="finance",
            policy_version="944654b3872e",
            code="K7M-4QP",
            issued_at=FRIDAY_MORNING,
        ).seal(b"k" * 32)
        _, html = page_for(
            replace(decision, match=CategoryMatch("gambling", host, "ut1")),
            visit,
            POLICY,
            State(),
            taxonomy(),
            admin_url="https://webaccess.town.example:8443",
            token=token,
            code="K7M-4QP",
            at=FRIDAY_MORNING,
        )
        assert len(html) <= 8192
        assert html.count(token.encode()) == links


def test_page_of_what_was_stopped_on_a_site_for_reading_says_so_and_leads_on() -> None:
    rule = replace(NOT_TOWN_BUSINESS, id="social-read", action=Verdict.VIEW_ONLY)
    decision = replace(blocked(), rule=rule.id)
    status, html = shown(decision, policy=replace(POLICY, rules=(rule,)))
    assert status == 403
    assert "Posting, comments and uploads are off here You can read cardroom.example." in english(html)
    assert "Aquí no se puede publicar, comentar ni subir archivos" in spanish(html)
    assert b"/ask?token=" in html and "Ask for access" in english(html)


def test_page_of_a_download_says_what_the_file_is_and_that_the_site_is_open() -> None:
    rule = replace(NOT_TOWN_BUSINESS, file_types=frozenset({"executable", "archive"}))
    decision = replace(blocked(), file_types=("archive", "executable"))
    text = shown(decision, policy=replace(POLICY, rules=(rule,)))[1]
    assert "You can use cardroom.example. This download is an archive and an executable file." in english(
        text
    )
    assert "Esta descarga es un archivo comprimido y un programa ejecutable." in spanish(text)

    not_told = shown(blocked(), policy=replace(POLICY, rules=(rule,)))[1]
    assert "It could not be told what kind of file this download is" in english(not_told)
    assert "No se pudo saber qué tipo de archivo es esta descarga" in spanish(not_told)


def test_every_type_of_files_has_its_spanish_words() -> None:
    for id_ in FILE_TYPES:
        page = replace(PAGE, variant=Variant.DOWNLOAD, file_types=(id_,))
        assert re.search(r"Esta descarga es una? \w", spanish(render(page))), id_


def test_markup_is_text_and_a_long_host_is_cut() -> None:
    markup = "<script>alert(1)</script>"
    _, html = shown(blocked(entry=markup), host=markup + "a" * 10_000)
    assert b"<script" not in html
    assert b"&lt;script&gt;" in html
    assert b"a" * 201 not in html


def test_page_is_small_and_asks_for_nothing() -> None:
    host = "a" * 200
    for variant in Variant:
        page = (
            replace(
                PAGE,
                variant=variant,
                host=host,
                category="gambling",
                label="Gambling",
                sites="gambling sites",
                because="Acceptable Use Policy, Prohibited Uses 18",
                approval=("department_head", "it_security"),
                head="Henry Okafor",
                rule="not-town-business",
                listed=f"UT1: {host}, gambling",
                file_types=tuple(FILE_TYPES),
                over_limit=OverLimit("4.2 GB", "500 MB", FRIDAY_MORNING)
                if variant is Variant.LARGE
                else None,
                ask_url="https://gate.town.example:8443/ask?token=" + "x" * 600,
                port=8443,
                ports=(80, 443),
                emergency=Emergency(FRIDAY_MORNING, "b" * 300, ("s" * 63 + ".example",) * 8, 12),
                admin_url="https://gate.town.example:8443",
            )
            if variant is not Variant.LATER
            else PAGE
        )
        html = render(page)
        assert len(html) <= 8192, f"{variant}: {len(html)} bytes"
        assert not re.search(rb"<script|<img|<link|<iframe|<form|url\(|@import|src=", html)
    for variant, others in {
        Variant.WARN: {},
        Variant.VIEW_ONLY: {
            "ask_url": "https://gate.town.example:8443/ask?token=" + "x" * 600,
            "approval": ("department_head", "it_security"),
            "head": "Henry Okafor",
        },
    }.items():
        to_continue = replace(
            PAGE,
            variant=variant,
            host=host,
            category="gambling",
            label="Gambling",
            because="Acceptable Use Policy, Prohibited Uses 18",
            rule="not-town-business",
            listed=f"UT1: {host}, gambling",
            continue_url="/.well-known/towngate/continue?token=" + "x" * 700,
        )
        assert len(render(replace(to_continue, **others))) <= 8192, variant
    assert "default-src 'none'" in PAGE_HEADERS["Content-Security-Policy"]
    assert PAGE_HEADERS["Cache-Control"] == "no-store"


def test_frames_and_parts_of_a_page_get_a_short_answer() -> None:
    frame = render_short("Town of Exampleton", "iframe")
    assert "Part of this page is blocked." in words(frame) and b'target="_blank"' in frame
    image = render_short("Town of <Exampleton>", "image")
    assert b"<a " not in image and len(image) < 400
    assert b"&lt;Exampleton&gt;" in image


@pytest.mark.parametrize(
    ("destination", "is_page"),
    [(None, True), ("", True), ("document", True), ("iframe", False), ("image", False), ("script", False)],
)
def test_only_a_page_of_its_own_gets_the_whole_page(destination: str | None, is_page: bool) -> None:
    assert is_document(destination) is is_page


LIMITS = {
    "big": Limit("big", LimitAction.WARN, larger_than=500 * 10**6, when="offices", because="Use 7"),
    "long": Limit("long", LimitAction.WARN, larger_than=500 * 10**6, when="longer"),
    "large": Limit("large", LimitAction.WARN, larger_than=200 * 10**6),
    "huge": Limit("huge", LimitAction.ASK, larger_than=10**10, approval=(Approver.IT_SECURITY,)),
    "time": Limit("time", LimitAction.ASK, quota=Quota(duration=timedelta(minutes=30))),
    "shopping": Limit(
        "shopping",
        LimitAction.BLOCK,
        quota=Quota(duration=timedelta(minutes=30)),
        categories=frozenset({"shopping"}),
    ),
    "much": Limit("much", LimitAction.BLOCK, quota=Quota(Per.DEPARTMENT, size_bytes=2 * 10**9)),
    "films": Limit("films", LimitAction.WARN, file_types=frozenset({"video"})),
}
HOURS = {"offices": OFFICE_HOURS, "longer": Schedule(frozenset(range(5)), time(8), time(17))}


@pytest.mark.parametrize(
    ("limit", "size_bytes", "in_english", "in_spanish"),
    [
        (
            "big",
            4_200_000_000,
            "This download is 4.2 GB In business hours it slows others down. After 4:30 PM it will not."
            " Nothing of it was loaded. Policy Use 7 Remind me at 4:30 PM Download now Leave",
            "Avisarme a las 4:30 p. m. Descargar ahora Salir",
        ),
        (
            "long",
            4_200_000_000,
            "This download is 4.2 GB It slows others down now. After 5 PM it will not.",
            "Ahora hace más lenta la red para los demás. A las 5 p. m. termina el límite.",
        ),
        (
            "large",
            300_000_000,
            "This download is 300 MB A download of more than 200 MB slows others down, so the town asks you"
            " to think first. Nothing of it was loaded. Download now Leave",
            "por eso el municipio le pide pensarlo antes. No se cargó nada. Descargar ahora Salir",
        ),
        (
            "huge",
            2 * 10**10,
            "The town loads no more than 10 GB at once from files.example. Nothing of it was loaded."
            " Who can allow it IT security Ask IT",
            "El municipio no carga más de 10 GB a la vez de files.example",
        ),
        (
            "time",
            None,
            "Opens at 12 AM tomorrow files.example is open again then. Your 30 minutes are used.",
            "Ya usó sus 30 minutos.",
        ),
        (
            "shopping",
            None,
            "Opens at 12 AM tomorrow files.example is listed as Shopping. Your 30 minutes are used.",
            "Ya usó sus 30 minutos.",
        ),
        ("much", None, "The 2 GB of your department are used.", "Se usaron los 2 GB de su departamento."),
        (
            "films",
            None,
            "Before this download You can use files.example. This download is a video.",
            "Descargar ahora",
        ),
    ],
)
def test_page_of_what_is_over_a_limit_says_the_amount_and_what_can_be_done(
    limit: str, size_bytes: int | None, in_english: str, in_spanish: str
) -> None:
    policy = replace(POLICY, limits=tuple(LIMITS.values()), schedules=HOURS)
    listed = (CategoryMatch("shopping", "files.example", "UT1"),)
    visit = Visit(people.CLERK_AT_WORK, "https", "files.example", 443, None, FRIDAY_MORNING, listed)
    types = frozenset({"video"})
    decision = stopping(LIMITS[limit], visit, policy, size_bytes=size_bytes, types=types)
    _, html = page_for(
        *(decision, visit, policy, State(), taxonomy()),
        admin_url="http://127.0.0.1:8000",
        token="t0ken",
        remind_token="t0ken",
        code="K7M-4QP",
        at=FRIDAY_MORNING,
        continue_url="/.well-known/towngate/continue" if decision.verdict is Verdict.WARN else None,
    )
    assert in_english in english(html)
    assert in_spanish in spanish(html)
    is_for_category = bool(LIMITS[limit].categories)
    assert ("This is the wrong category" in english(html)) is is_for_category


def test_large_download_that_waits_for_no_hour_or_has_no_admin_site_offers_no_reminder() -> None:
    policy = replace(POLICY, limits=tuple(LIMITS.values()), schedules=HOURS)
    visit = Visit(people.CLERK_AT_WORK, "https", "files.example", 443, None, FRIDAY_MORNING)
    for limit, admin_url in (("huge", "http://127.0.0.1:8000"), ("big", None)):
        decision = stopping(LIMITS[limit], visit, policy, size_bytes=2 * 10**10)
        _, html = page_for(
            *(decision, visit, policy, State(), taxonomy()),
            admin_url=admin_url,
            token="t0ken",
            remind_token="t0ken",
            code="K7M-4QP",
            at=FRIDAY_MORNING,
        )
        assert "/remind" not in html.decode() and "Remind me" not in english(html)


def test_page_of_a_large_download_is_small_with_a_long_host_and_every_way_on() -> None:
    token = "x" * 1400
    page = replace(
        PAGE,
        variant=Variant.LARGE,
        host="a" * 200,
        because="Acceptable Use Policy, Prohibited Uses 18",
        over_limit=OverLimit("4.2 GB", "500 MB", FRIDAY_MORNING),
        remind_url=f"https://gate.town.example:8443/remind?token={token}",
    )
    warned = replace(page, continue_url="/.well-known/towngate/continue?token=" + "x" * 700)
    assert len(render(warned)) <= 8192
    assert '<button form="continue">Download now</button>' in render(warned).decode()


async def test_pages_are_clean_in_a_browser(browser: StartBrowser) -> None:
    """Light and dark, wide and narrow, with the headers it is sent with."""
    pages = {
        "policy": shown(blocked())[1],
        "security": shown(risk(), host="a" * 60 + ".phish" * 20 + ".example")[1],
        "later": shown(blocked("shopping", "shop.example"), host="shop.example")[1],
        "trouble": shown(Decision(Verdict.BLOCK, Cause.FAULT))[1],
        "certificate": shown(NOT_PROVEN, origin_refusal=OriginRefusal(OriginFault.ENDED, "", FRIDAY_MORNING))[
            1
        ],
        "lockdown": shown(LOCKED_DOWN, policy=LIMITED, state=State(lockdowns=[WORM]))[1],
        "large-to-wait-for": render(
            replace(
                PAGE,
                variant=Variant.LARGE,
                over_limit=OverLimit("4.2 GB", "1 GB", FRIDAY_MORNING),
                remind_url="http://127.0.0.1:8000/remind?token=t0ken",
                continue_url="/.well-known/towngate/continue?token=t0ken",
            )
        ),
        "no-asking": shown(blocked(), admin_url=None)[1],
        "frame": render_short("Town of Exampleton", "iframe"),
        **{
            f"variant-{variant}": render(
                replace(PAGE, variant=variant, over_limit=OverLimit("4.2 GB", "1 GB"))
            )
            for variant in Variant
            if variant is not Variant.LATER
        },
    }
    chromium = await browser()
    page = await chromium.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    await page.route(
        "**/*",
        lambda route: route.fulfill(
            body=pages.get(route.request.url.rpartition("/")[2], b""), headers=dict(PAGE_HEADERS)
        ),
    )
    for name in pages:
        await page.goto(f"http://cardroom.test/{name}")
        await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            assert await violations(page) == [], (name, scheme)
        for width in (1280, 360, 320):
            await page.set_viewport_size({"width": width, "height": 640})
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            lines = "[...document.querySelectorAll('.code')].map((e) => e.getClientRects().length)"
            assert set(await page.evaluate(lines)) <= {1}, (name, width, "a code is read out in one go")
    assert complaints == [], "the style is let in by its digest, and nothing else is asked for"


async def test_longest_time_is_in_one_line_on_a_phone(browser: StartBrowser) -> None:
    page = await (await browser()).new_page()
    html = render(replace(PAGE, at=datetime(2026, 9, 30, 16, 44, tzinfo=UTC)))
    await page.set_content(html.decode().replace("<details", "<details open"))
    time = page.locator("time").first
    assert await time.inner_text() == "Wed,\u00a0September\u00a030,\u00a012:44\u00a0PM"
    for width in (360, 320):
        await page.set_viewport_size({"width": width, "height": 640})
        assert await time.evaluate("(e) => e.getClientRects().length") == 1, width
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
