"""The worker's table of hooks does what mitmproxy's own manager does: every test runs on both."""

import logging

import pytest
from mitmproxy import connection, options
from mitmproxy.addonmanager import AddonManager
from mitmproxy.exceptions import AddonHalt
from mitmproxy.master import Master
from mitmproxy.proxy.server_hooks import ClientConnectedHook
from mitmproxy.test.tflow import tclient_conn

from proxy_addons.hook_table import HookTable


class _Addon:
    def __init__(self, name: str, heard: list[str], raises: Exception | None = None) -> None:
        self.name = name
        self.addons: list[_Addon] = []
        self._heard = heard
        self._raises = raises

    def client_connected(self, _client: connection.Client) -> None:
        self._heard.append(self.name)
        if self._raises is not None:
            raise self._raises


class _AsyncAddon(_Addon):
    async def client_connected(self, client: connection.Client) -> None:  # type: ignore[override]
        super().client_connected(client)


class _DeafAddon:
    name = "deaf"


@pytest.fixture
def heard() -> list[str]:
    """What the addons of a test have heard, in order."""
    return []


@pytest.fixture(params=[AddonManager, HookTable])
async def manager(request: pytest.FixtureRequest) -> AddonManager:
    master = Master(options.Options())
    master.addons = request.param(master)
    return master.addons


async def test_hooks_are_called_in_the_order_of_the_chain(manager: AddonManager, heard: list[str]) -> None:
    outer = _Addon("second", heard)
    outer.addons = [_AsyncAddon("below the second", heard)]
    manager.add(_AsyncAddon("first", heard), _DeafAddon(), outer, _Addon("third", heard))

    await _connect(manager)

    assert heard == ["first", "second", "below the second", "third"]


async def test_addon_that_is_added_later_is_heard_and_one_that_is_removed_is_not(
    manager: AddonManager, heard: list[str]
) -> None:
    leaving = _Addon("leaving", heard)
    manager.add(leaving)
    await _connect(manager)

    manager.add(_Addon("added", heard))
    await _connect(manager)
    manager.remove(leaving)
    await _connect(manager)

    assert heard == ["leaving", "leaving", "added", "added"]
    manager.clear()
    await _connect(manager)
    assert heard[4:] == []


async def test_halt_ends_an_event(manager: AddonManager, heard: list[str]) -> None:
    manager.add(_AsyncAddon("halts", heard, AddonHalt()), _Addon("after", heard))

    await _connect(manager)

    assert heard == ["halts"]


async def test_exception_of_a_hook_is_logged_and_the_next_addon_is_called(
    manager: AddonManager, heard: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    manager.add(_AsyncAddon("fails", heard, RuntimeError("out of order")), _Addon("after", heard))

    with caplog.at_level(logging.ERROR):
        await _connect(manager)

    assert heard == ["fails", "after"]
    assert "out of order" in caplog.text


async def _connect(manager: AddonManager) -> None:
    await manager.trigger_event(ClientConnectedHook(tclient_conn()))
