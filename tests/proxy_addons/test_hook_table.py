"""The worker's table of hooks does what mitmproxy's own manager does, and calls hooks where they begin."""

import asyncio
import logging

import pytest
from mitmproxy import connection, options
from mitmproxy.addonmanager import AddonManager
from mitmproxy.exceptions import AddonHalt
from mitmproxy.master import Master
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.events import Event, HookCompleted, Start
from mitmproxy.proxy.layer import CommandGenerator, Layer
from mitmproxy.proxy.server_hooks import ClientConnectedHook
from mitmproxy.test.tflow import tclient_conn

from proxy_addons.hook_table import HookTable
from proxy_addons.prompt_hooks import PromptHooks


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


class _WaitingAddon(_Addon):
    def __init__(self, name: str, heard: list[str], may_go_on: asyncio.Event) -> None:
        super().__init__(name, heard)
        self._may_go_on = may_go_on

    async def client_connected(self, client: connection.Client) -> None:  # type: ignore[override]
        await self._may_go_on.wait()
        super().client_connected(client)


class _CancelledAddon(_Addon):
    async def client_connected(self, _client: connection.Client) -> None:  # type: ignore[override]
        raise asyncio.CancelledError


class _DeafAddon:
    name = "deaf"


class _AskingLayer(Layer):
    def __init__(self, context: Context, heard: list[str]) -> None:
        super().__init__(context)
        self._heard = heard

    def _handle_event(self, _event: Event) -> CommandGenerator[None]:
        self._heard.append("asks")
        yield ClientConnectedHook(self.context.client)
        self._heard.append("goes on")


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


async def test_hooks_that_need_not_wait_have_ended_when_they_have_begun(heard: list[str]) -> None:
    table = _table(_Addon("first", heard), _AsyncAddon("second", heard))

    assert table.begin(ClientConnectedHook(tclient_conn())) is True
    assert heard == ["first", "second"]


async def test_hook_that_has_to_wait_is_called_once_and_waited_for(heard: list[str]) -> None:
    may_go_on = asyncio.Event()
    table = _table(_Addon("first", heard), _WaitingAddon("waits", heard, may_go_on), _Addon("last", heard))
    event = ClientConnectedHook(tclient_conn())

    assert table.begin(event) is False
    assert heard == ["first"]
    may_go_on.set()
    await table.handle_lifecycle(event)

    assert heard == ["first", "waits", "last"]


async def test_event_whose_hook_was_cancelled_is_not_taken_for_one_that_has_ended(heard: list[str]) -> None:
    event = ClientConnectedHook(tclient_conn())
    table = _table(_CancelledAddon("cancelled", heard))

    assert table.begin(event) is False
    with pytest.raises(asyncio.CancelledError):
        await table.handle_lifecycle(event)


@pytest.mark.parametrize("waits", [False, True])
async def test_layer_hears_that_its_hook_has_ended_after_what_it_said_before(
    heard: list[str], *, waits: bool
) -> None:
    may_go_on = asyncio.Event()
    hearing = _WaitingAddon("addon", heard, may_go_on) if waits else _Addon("addon", heard)
    context = Context(tclient_conn(), options.Options())
    table = _table(hearing)
    top = PromptHooks(_AskingLayer(context, heard), table)

    left = [command for command in top.handle_event(Start()) if isinstance(command, ClientConnectedHook)]

    assert len(left) == (1 if waits else 0)
    if waits:
        assert heard == ["asks"]
        may_go_on.set()
        await table.handle_lifecycle(left[0])
        assert list(top.handle_event(HookCompleted(left[0]))) == []
    assert heard == ["asks", "addon", "goes on"]
    assert len(context.layers) == 1


def _table(*addons: _Addon) -> HookTable:
    table = HookTable(Master(options.Options()))
    table.add(*addons)
    return table
