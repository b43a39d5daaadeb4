"""The browser of the tests is a workstation's: it trusts what it is told to, and goes through its proxy."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Error

from admin.demo_web import DemoWeb
from admin.demo_web import demo_web as serve
from tests.browsing import StartBrowser, violations


@pytest.fixture
async def localhost_web(tmp_path: Path) -> AsyncIterator[DemoWeb]:
    async with serve(tmp_path / "ca", names=["localhost"]) as web:
        yield web


async def test_authority_is_trusted_only_when_given(
    browser: StartBrowser, localhost_web: DemoWeb, screenshots: Path
) -> None:
    url = f"https://localhost:{localhost_web.https_port}/"

    page = await (await browser(trusts=[localhost_web.ca_certificate])).new_page(color_scheme="dark")
    await page.goto(url)
    assert await page.title() == "localhost"
    assert await violations(page) == []
    await page.screenshot(path=screenshots / "localhost.png")
    assert (screenshots / "localhost.png").read_bytes().startswith(b"\x89PNG")

    stranger = await (await browser()).new_page()
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        await stranger.goto(url)


async def test_loopback_goes_through_the_proxy_too(browser: StartBrowser, localhost_web: DemoWeb) -> None:
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        page = await (await browser(proxy=f"127.0.0.1:{port}")).new_page()
        await page.goto(f"http://127.0.0.1:{localhost_web.http_port}/")
        with pytest.raises(Error, match="ERR_TUNNEL_CONNECTION_FAILED"):
            await page.goto(f"https://localhost:{localhost_web.https_port}/")

    assert f"CONNECT localhost:{localhost_web.https_port} HTTP/1.1\r\n".encode() in asked
    assert f"GET http://127.0.0.1:{localhost_web.http_port}/ HTTP/1.1\r\n".encode() in asked
    assert localhost_web.connections == 0


async def test_axe_names_the_element_and_what_is_wrong(browser: StartBrowser) -> None:
    page = await (await browser()).new_page()
    await page.set_content("<html lang=en><title>x</title><main><h1>x</h1><img id=picture src=data:,></main>")

    found = await violations(page)

    assert len(found) == 1
    assert found[0].startswith("image-alt (critical) at #picture: ")


async def test_axe_looks_at_colours_as_the_scheme_has_them_and_again_after_the_next_page(
    browser: StartBrowser,
) -> None:
    page = await (await browser()).new_page(color_scheme="light")
    grey_in_the_dark = "<style>@media (prefers-color-scheme: dark) { p { color: #999 } }</style>"
    main = "<main><h1>Hours</h1><p>Open from eight to five</p></main>"
    for _ in range(2):
        await page.goto("data:text/html,<html lang=en><title>x</title>")
        await page.set_content(f"<html lang=en><title>x</title>{grey_in_the_dark}{main}")
        await page.emulate_media(color_scheme="light")
        assert await violations(page) == []
        await page.emulate_media(color_scheme="dark")
        found = await violations(page, "colours")
        assert [line.partition(":")[0] for line in found] == ["color-contrast (serious) at p"]
        assert await violations(page, "all but colours") == []


async def test_axe_looks_at_the_first_of_those_that_have_the_same_colours_behind_each_other(
    browser: StartBrowser,
) -> None:
    page = await (await browser()).new_page()
    rows = "".join(
        f"<li class={name}><a href=/>{name}</a></li>" for name in ("plain", "plain", "pale", "pale")
    )
    style = "<style>a { color: #767676 } .pale { background: #e0e0e0 }</style>"
    await page.set_content(f"<html lang=en><title>x</title>{style}<main><h1>x</h1><ul>{rows}</ul></main>")

    found = await violations(page)

    assert [line.partition(" > ")[0] for line in found] == ["color-contrast (serious) at .pale:nth-child(3)"]
