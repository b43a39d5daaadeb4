"""Which hooks an event has, looked up in a table: mitmproxy asks every addon for every event."""

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from mitmproxy import hooks
from mitmproxy.addonmanager import AddonManager, safecall
from mitmproxy.exceptions import AddonHalt
from mitmproxy.master import Master


class HookTable(AddonManager):
    """Finds the hooks of an event once, and again after the chain of addons has changed.

    The methods of an addon must not be replaced while it is in the chain. As in mitmproxy,
    AddonHalt ends an event, and another exception is logged before the next hook is called.
    """

    def __init__(self, master: Master) -> None:
        self._hooks_of: dict[str, tuple[Callable[..., Any], ...]] = {}
        # mitmproxy asks its dataclasses for their fields at every event.
        self._fields_of: dict[str, tuple[str, ...]] = {}
        self._waiting: dict[hooks.Hook, asyncio.Task[None]] = {}
        super().__init__(master)  # type: ignore[no-untyped-call]  # as all of mitmproxy's manager

    def register(self, addon: Any) -> Any:
        """Take an addon, and those below it, into account."""
        self._hooks_of.clear()
        return super().register(addon)  # type: ignore[no-untyped-call]

    def remove(self, addon: Any) -> None:
        """Take an addon, and those below it, out of the chain."""
        self._hooks_of.clear()
        super().remove(addon)  # type: ignore[no-untyped-call]

    def clear(self) -> None:
        """Take every addon out of the chain."""
        self._hooks_of.clear()
        super().clear()  # type: ignore[no-untyped-call]

    def begin(self, event: hooks.Hook) -> bool:
        """Call every hook of an event now, and return whether all have ended.

        Where one has to wait, the event's `handle_lifecycle`, which must be called then, waits for it.
        """
        if not self._found(event):
            return True
        call: asyncio.Task[None] = asyncio.Task(
            self.trigger_event(event), loop=asyncio.get_running_loop(), eager_start=True
        )
        if call.done() and not call.cancelled() and call.exception() is None:
            return True
        self._waiting[event] = call
        return False

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        """Call every hook of an event, or wait for those that `begin` has called.

        mitmproxy follows each event of a flow with one that says that it was updated; where this table is
        used, no addon hears it.
        """
        begun = self._waiting.pop(event, None)
        await (self.trigger_event(event) if begun is None else begun)

    async def trigger_event(self, event: hooks.Hook) -> None:
        """Call every hook of an event, in the order of the chain."""
        found = self._found(event)
        arguments = [getattr(event, name) for name in self._fields_of[event.name]]
        for hook in found:
            try:
                with safecall():
                    result = hook(*arguments)
                    if inspect.isawaitable(result):
                        await result
            except AddonHalt:
                return

    def _found(self, event: hooks.Hook) -> tuple[Callable[..., Any], ...]:
        found = self._hooks_of.get(event.name)
        if found is None:
            found = tuple(hook for addon in self.chain for _, hook in self._iter_hooks(addon, event))
            self._hooks_of[event.name] = found
            self._fields_of[event.name] = tuple(field.name for field in fields(event))  # type: ignore[arg-type]
        return found


def use(master: Master) -> None:
    """Make a master, to which no addon has been added yet, find hooks in a table."""
    master.addons = HookTable(master)
