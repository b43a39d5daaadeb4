"""Hooks called where they begin: mitmproxy makes a task for each, which then waits for its turn."""

from collections import deque

from mitmproxy.proxy import commands, events, layer

from proxy_addons.hook_table import HookTable


class PromptHooks(layer.Layer):
    """The outermost layer of a connection: answers the hooks of those within as soon as they have ended.

    One that has to wait is left to mitmproxy, and so are the hooks of a layer that has taken the
    connection over. No flow can be held up by an addon: a worker has none that does.
    """

    def __init__(self, within: layer.Layer, table: HookTable) -> None:
        super().__init__(within.context)
        # It is nobody's parent: layers find theirs by its place in this list.
        self.context.layers.remove(self)
        self._within = within
        self._table = table

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Have the layers within handle an event, and then the ends of the hooks that it called."""
        coming = deque([event])
        while coming:
            for command in self._within.handle_event(coming.popleft()):
                if not isinstance(command, commands.StartHook) or not self._table.begin(command):
                    yield command
                elif command.blocking:
                    coming.append(events.HookCompleted(command))

    _handle_event = handle_event
