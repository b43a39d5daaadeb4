"""The section `pac` of settings.yaml, and the file that workstations get from it."""

import subprocess
from pathlib import Path

import pytest

from admin.pac import MEDIA_TYPE, PacSettings, pac_file
from admin.settings import read_settings
from policy.problem import PolicyError
from tests.admin.web.conftest import Site

FOLDER = Path("/state")


@pytest.mark.parametrize(
    ("written", "proxy"),
    [
        ("Proxy.Town.example:8080", "proxy.town.example:8080"),
        ("10.0.0.5:3128", "10.0.0.5:3128"),
        ("'[2001:db8::5]:8080'", "[2001:db8::5]:8080"),
    ],
)
def test_proxy_is_read_in_its_one_spelling(written: str, proxy: str) -> None:
    settings = read_settings(f"pac: {{proxy: {written}, direct: [Town.example]}}", FOLDER)
    assert settings.pac == PacSettings(proxy, ("town.example",))


def test_there_is_none_where_it_is_left_out() -> None:
    assert read_settings("lists: {}", FOLDER).pac is None


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("{}", "'proxy' is missing"),
        ("{proxy: proxy.town.example}", "'proxy.town.example' is not like proxy.town.example:8080"),
        ("{proxy: 'http://proxy.town.example:8080'}", "is not like proxy.town.example:8080"),
        ("{proxy: 'proxy.town.example:99999'}", "is not like proxy.town.example:8080"),
        ("{proxy: 'a b:8080'}", "is not like proxy.town.example:8080"),
        ("{proxy: 'a:8080; DIRECT'}", "is not like proxy.town.example:8080"),
        ("{proxy: 'a.example:8080', direct: ['https://town.example']}", "is a whole address"),
        ("{proxy: 'a.example:8080', dirct: []}", "(nearest: 'direct')"),
    ],
)
def test_what_is_wrong_is_said(section: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_settings(f"pac: {section}", FOLDER)
    assert problem in str(caught.value)


@pytest.mark.needs("pactester")
@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("https://library.example/", "PROXY 10.0.0.5:3128"),
        ("https://www.town.example/", "DIRECT"),
        ("https://library.town.example.evil.example/", "PROXY 10.0.0.5:3128"),
    ],
)
def test_browser_goes_the_way_that_the_settings_say(url: str, way: str, tmp_path: Path) -> None:
    path = tmp_path / "proxy.pac"
    path.write_text(pac_file(PacSettings("10.0.0.5:3128", ("town.example", "other.example"))))
    done = subprocess.run(["pactester", "-p", path, "-u", url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == way


async def test_every_workstation_gets_the_file_without_signing_in(site: Site) -> None:
    assert (await site.client().get("/proxy.pac")).status_code == 404
    site.state.settings_document.write_text("pac: {proxy: 'proxy.town.example:8080'}\n")
    await site.until(lambda: site.admin.settings.settings.pac is not None)
    answer = await site.client().get("/proxy.pac")
    assert answer.headers["content-type"].partition(";")[0] == MEDIA_TYPE
    assert '"PROXY proxy.town.example:8080"' in answer.text
    assert "set-cookie" not in answer.headers
