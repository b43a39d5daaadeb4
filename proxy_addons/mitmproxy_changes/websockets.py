"""WebSockets, whose messages may be as long as a film."""

from dataclasses import replace as with_fields

from mitmproxy import websocket
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.websocket import (
    Fragmentizer,
    WebsocketConnection,
    WebsocketEndHook,
    WebsocketLayer,
    WebsocketMessageHook,
)
from mitmproxy.proxy.utils import expect
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import Opcode

from proxy_addons.mitmproxy_changes.replacing import original, replace

HELD_BYTES = 256 << 10
"""Messages that are no longer go on as they came, frame by frame: some programs take no others."""
_HELD_FRAMES = 64


def change() -> None:
    """Change when a WebSocket's messages go on: 17 of the list."""
    replace(WebsocketLayer, "relay_messages", _relay, original(WebsocketLayer.relay_messages))


@expect(events.DataReceived, events.ConnectionClosed)  # type: ignore[untyped-decorator]  # mitmproxy's own
def _relay(self: WebsocketLayer, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
    from_client = event.connection == self.context.client
    source, to = (self.client_ws, self.server_ws) if from_client else (self.server_ws, self.client_ws)
    source.receive_data(event.data if isinstance(event, events.DataReceived) else None)
    for said in source.events():
        match said:
            case TextMessage() | BytesMessage():
                yield from _carry(self, said, source, to)
            case Ping() | Pong():
                yield to.send2(said)
            case CloseConnection():
                yield from _end(self, said)


def _carry(
    self: WebsocketLayer,
    said: TextMessage | BytesMessage,
    source: WebsocketConnection,
    to: WebsocketConnection,
) -> layer.CommandGenerator[None]:
    """Keep a part of a message; pass on what is kept when that is all of it, or much."""
    is_text = isinstance(said, TextMessage)
    source.frame_buf[-1] += said.data.encode() if isinstance(said, TextMessage) else bytes(said.data)
    is_much = len(source.frame_buf) > _HELD_FRAMES or sum(map(len, source.frame_buf)) > HELD_BYTES
    if not said.message_finished and not is_much:
        if said.frame_finished:
            source.frame_buf.append(b"")
        return
    frames, source.frame_buf = source.frame_buf, [b""]
    kind, content = Opcode.TEXT if is_text else Opcode.BINARY, b"".join(frames)
    message = websocket.WebSocketMessage(kind, source is self.client_ws, content)
    if self.flow.websocket is not None:
        self.flow.websocket.messages.append(message)
    yield WebsocketMessageHook(self.flow)
    if not message.dropped:
        for part in Fragmentizer(frames, is_text)(content):
            is_last = said.message_finished and part.message_finished
            yield to.send2(with_fields(part, message_finished=is_last))


def _end(self: WebsocketLayer, said: CloseConnection) -> layer.CommandGenerator[None]:
    for side in (self.server_ws, self.client_ws):
        if side.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            yield side.send2(said)
        yield commands.CloseConnection(side.conn)
    yield WebsocketEndHook(self.flow)
    self.flow.live = False
    self._handle_event = self.done
