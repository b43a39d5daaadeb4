"""A download that is too large at these hours: from the proxy's page to the promised mail, as processes."""

import re
from datetime import UTC, datetime
from pathlib import Path

import httpx

from tests.post_office import post_office
from tests.running_town import RunningTown, running_town

DEMO_POLICY = Path(__file__).parents[1] / "admin" / "demo_policy.yaml"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NAVIGATES = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
FILE = "http://library.example/big"


async def test_who_is_stopped_there_is_promised_a_mail_with_the_address_and_can_load_it_at_once(
    tmp_path: Path,
) -> None:
    async with post_office() as office, running_town(tmp_path / "town", "--demo") as town:
        (town.state / "settings.yaml").write_text(
            f"mail:\n  server: smtp://127.0.0.1:{office.port}\n  starttls: never\n"
            "  from: Towngate <towngate@town.example>\n"
        )
        await in_force(town, tmp_path)
        async with httpx.AsyncClient(proxy=f"http://{town.proxy}", timeout=60) as clerk:
            page = (await clerk.get(f"{FILE}?bytes=600000000", headers=NAVIGATES)).text
            assert "This download is 600\u00a0MB" in page and "Download now" in page
            (link,) = set(re.findall(r'href="(http[^"]+/remind\?token=[^"]+)"', page))
            assert link.startswith(f"http://{town.admin}/")
            # The admin site is reached through the proxy, as from a workstation.
            form = await clerk.get(link, follow_redirects=True)
            shown = form.text.replace("\u00a0", " ")
            assert "clerk@town.example" in shown, shown
            assert f">{FILE}<" in shown and "bytes=" not in shown, "its query goes nowhere"
            token = form.text.partition('name="csrf_token" value="')[2].partition('"')[0]
            fields, origin = {"csrf_token": token}, {"Origin": f"http://{town.admin}"}
            sent = await clerk.post(str(form.url), data=fields, headers=origin, follow_redirects=True)
            assert "You get a mail on" in sent.text
            onward = re.search(r'action="([^"]+/continue\?token=[^"]+)"', page)
            assert onward is not None
            told = await clerk.post(f"http://library.example{onward[1]}")
            assert (told.status_code, told.headers["location"]) == (303, f"{FILE}?bytes=600000000")
            async with clerk.stream("GET", told.headers["location"], headers=NAVIGATES) as answer:
                assert answer.status_code == 200 and answer.headers["Content-Length"] == "600000000"
        assert office.messages == [], "it is not time yet"


async def in_force(town: RunningTown, folder: Path) -> None:
    """Put a limit in force that holds now, and on one day that is to come does not."""
    days = [day for number, day in enumerate(DAYS) if number != (datetime.now(UTC).weekday() + 3) % 7]
    hours = f'  busy: {{days: [{", ".join(days)}], from: "00:00", to: "24:00"}}\n'
    document = DEMO_POLICY.read_text().partition("\ntests:")[0]
    document = re.sub(r"^schedules:.*\n", rf"\g<0>{hours}", document, flags=re.MULTILINE)
    path = folder / "policy.yaml"
    path.write_text(f"{document}\nlimits:\n  - {{id: big, when: busy, larger_than: 500MB, action: warn}}\n")
    code, output, errors = await town.command("policy", "publish", str(path))
    assert code == 0, output + errors
    await town.in_force()
