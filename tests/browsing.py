"""Debian's Chromium, set up as a workstation of the town: its CA, its proxy, nothing of its own.

A pytest plugin with the fixture `browser`, and what a test looks at a page with.
"""

import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Iterable
from pathlib import Path
from typing import Literal, Protocol

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.missing_parts import require

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# As the environment of whoever runs the tests has it, these would lead Chromium elsewhere.
_NOT_INHERITED = ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "http_proxy", "https_proxy", "all_proxy", "no_proxy")
_RULES_OF_COLOURS = ("color-contrast", "link-in-text-block")

# As long as Playwright waits for everything else.
expect.set_options(timeout=30_000)

Rules = Literal["all", "colours", "all but colours"]
"""Which of axe's rules to look with."""

# What axe tells of all that is well is half a megabyte more.
_VIOLATIONS = """async (options) =>
    (await axe.run(document, {...options, resultTypes: ["violations"]})).violations"""

# The rules of colours take most of the time, so of elements with text that have the same colours, on the same
# behind them, only the first is looked at.
_VIOLATIONS_OF_COLOURS = """async (options) => {
    const look = (element) => {
        const style = getComputedStyle(element);
        return [element.tagName, style.color, style.backgroundColor, style.backgroundImage, style.opacity,
            style.fontSize, style.fontWeight, style.textDecorationLine, style.position].join();
    };
    const looks = new Map();
    const allLooks = (element) => {
        if (!element) return "";
        if (!looks.has(element)) looks.set(element, allLooks(element.parentElement) + look(element));
        return looks.get(element);
    };
    const firsts = new Map();
    for (const element of document.body.querySelectorAll("*")) {
        const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        const isSeen = element.checkVisibility({visibilityProperty: true});
        if ((hasText || element.matches("input, select, textarea")) && isSeen) {
            const key = allLooks(element);
            if (!firsts.has(key)) firsts.set(key, element);
        }
    }
    if (!firsts.size) return [];
    const context = {include: [...firsts.values()]};
    return (await axe.run(context, {...options, resultTypes: ["violations"]})).violations;
}"""


class StartBrowser(Protocol):
    def __call__(self, *, proxy: str | None = None, trusts: Iterable[Path] = ()) -> Awaitable[Browser]: ...


@pytest.fixture
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StartBrowser]:
    """Return `await browser(proxy="127.0.0.1:8080", trusts=[ca_pem])`: a Chromium of its own.

    It keeps its profile and certificate store in a fresh home, and is closed with the test.
    Everything goes through the proxy, loopback too. Its pages are had from `new_page(viewport=...,
    color_scheme=...)` or a `new_context(...)`.
    """
    require("chromium", "certutil")
    async with async_playwright() as playwright:
        started: list[Browser] = []

        async def start(*, proxy: str | None = None, trusts: Iterable[Path] = ()) -> Browser:
            home = tmp_path_factory.mktemp("home")
            _make_certificate_store(home, trusts)
            environment = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
            flags = list(_FLAGS)
            if proxy is not None:
                flags += [f"--proxy-server=http://{proxy}", "--proxy-bypass-list=<-loopback>"]
            opened = await playwright.chromium.launch(
                executable_path="/usr/bin/chromium",
                args=flags,
                env=environment | {"HOME": str(home)},
            )
            started.append(opened)
            return opened

        yield start
        for opened in started:
            await opened.close()


async def violations(page: Page, of: Rules = "all") -> list[str]:
    """Return what axe finds wrong with the page, a line an element; empty when all is well.

    Of "colours" are the rules that another colour scheme changes something for.
    """
    # Once a page: it is half a megabyte of program.
    if await page.evaluate("typeof axe === 'undefined'"):
        await page.evaluate(Axe().axe_script)
    found = []
    if of != "colours":
        rules = {rule: {"enabled": False} for rule in _RULES_OF_COLOURS}
        found += await page.evaluate(_VIOLATIONS, {"rules": rules})
    if of != "all but colours":
        found += await page.evaluate(_VIOLATIONS_OF_COLOURS, {"runOnly": list(_RULES_OF_COLOURS)})
    return [
        f"{rule['id']} ({rule['impact']}) at {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


@pytest.fixture
def screenshots(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the folder for `await page.screenshot(path=screenshots / "name.png")`.

    A temporary one, unless `pytest --screenshots DIR` asks to keep them.
    """
    folder: Path = request.config.getoption("--screenshots") or tmp_path / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, metavar="DIR", help="keep the screenshots that tests take")


def _make_certificate_store(home: Path, trusts: Iterable[Path]) -> None:
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    subprocess.run(["certutil", "-N", "-d", f"sql:{store}", "--empty-password"], check=True)
    for number, certificate in enumerate(trusts):
        subprocess.run(
            ["certutil", "-A", "-d", f"sql:{store}", "-t", "C,,", "-n", f"{number}", "-i", str(certificate)],
            check=True,
        )
