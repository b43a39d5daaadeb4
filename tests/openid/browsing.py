"""A person with a browser, between the admin site and a provider: forms are filled in as they come."""

import html
import re
from urllib.parse import parse_qs, urlsplit

import httpx

from admin.settings import read_settings
from admin.town_account import RETURN_PATH
from tests.admin.web.conftest import Site
from tests.admin.web.mailed_site import with_settings
from tests.openid.provider import CLIENT_ID, CLIENT_SECRET

_FORM = re.compile(r'<form[^>]*action="([^"]+)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


async def with_town_accounts(site: Site, issuer: str, more: str = "person_claim: preferred_username") -> None:
    """Set this provider the way that IT does, and wait until it is in force."""
    (site.state.root / "openid-secret").write_text(CLIENT_SECRET)
    text = (
        f"sign_in: {{openid_connect: {{issuer: '{issuer}', client_id: {CLIENT_ID},"
        f" client_secret_file: openid-secret, {more}}}}}\n"
    )
    wanted = read_settings(text, site.state.root)
    with_settings(site, text)
    await site.until(lambda: site.admin.settings.settings == wanted)


async def begin(browser: httpx.AsyncClient, next_path: str = "/") -> str:
    """Press the link; return the provider's address that it leads to."""
    answer = await browser.get("/sign-in/town-account", params={"next": next_path})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def sign_in_at_the_provider(url: str, login: str) -> str:
    """Sign in on the provider's own pages; return the address that it sends the browser back to."""
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(url)
        for _ in range(12):
            if answer.has_redirect_location:
                there = str(answer.url.join(answer.headers["location"]))
                if urlsplit(there).path == RETURN_PATH:
                    return there
                answer = await browser.get(there)
                continue
            form = _FORM.search(answer.text)
            assert form, answer.text
            fields = dict(_HIDDEN.findall(answer.text)) | {"login": login, "password": "any"}
            answer = await browser.post(html.unescape(form[1]), data=fields)
    raise AssertionError(f"{login} came to no end at {answer.url}")


async def sign_in(browser: httpx.AsyncClient, login: str, next_path: str = "/") -> httpx.Response:
    """Sign in with a town account, from the link to where it ends."""
    return await browser.get(await sign_in_at_the_provider(await begin(browser, next_path), login))


def query(url: str) -> dict[str, str]:
    """Return the query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
