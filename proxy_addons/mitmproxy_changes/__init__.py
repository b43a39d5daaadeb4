"""Where mitmproxy 12.2.3 itself behaves otherwise than a filter must, and cannot be told to.

Each change replaces one name of a pinned version, and has a test that fails without it.

1. The body of a request that is answered with a page is dropped as it arrives; mitmproxy keeps
   it whole in memory first (1.3 GB for an upload of 600 MB).
2. A plain request whose origin server cannot be dialled gets our page, after its body if it has
   one; mitmproxy writes its own.
3. A request head that cannot be read one way only is answered 400, one of over 64 KiB 431, one with
   a URL of over 16 KiB 414, one that does not come in time 408, and all are reported. mitmproxy reads
   heads without end and without a deadline, forwards versions and codings that nobody knows, lets
   control characters through, takes a request for the proxy itself as one for its Host, and never
   answers what begins with an empty line.
4. Trailers of a chunked message are dropped; mitmproxy raises, and the connection hangs. A chunk whose
   head has no end is an error; mitmproxy keeps it.
5. Error answers are ours: no version of the proxy, no raw error.
6. The types of a message's fields are not checked whenever one is made; mitmproxy leaves that to
   `python -O`, which would take every assertion with it. A sixth of what a kept plain request costs.
7. A client that sends on while its origin server is dialled, or before it has its last answer, is
   not read without end; mitmproxy keeps all of it in memory.
8. A connection that is cancelled while it waits for its turn at the layers is closed; mitmproxy
   leaves it open, and its layers unaware.
9. An answer's head of over 256 KiB is refused, and interim answers (1xx) are dropped; mitmproxy keeps
   a head without end, and takes an interim answer for the last one.
10. A 101 that is not the answer to a WebSocket's handshake is refused; mitmproxy passes it on.
11. An answer is held until its first bytes have been looked at, where they tell whether it may go on; in
    place of one that may not, a page is sent, and its connection ends. mitmproxy sends the head at once.
12. Connections to origin servers that are closed are forgotten at the client's next request; mitmproxy
    keeps them, with all their layers, for as long as the client's connection lasts.
13. A client whose TLS handshake fails is sent the alert that says why; mitmproxy closes without a word.
14. A connection's task is known to it from its first step; mitmproxy notes it after that, and fails to
    close a connection that ends within it, as may come with hooks that are called where they begin.
15. Each request's layers take over the connection to its origin server; mitmproxy makes them one of their
    own first, with an id from the system's random numbers, and drops it. A fortieth of a kept request.
16. A ClientHello is parsed once, and what was found is shared by all who ask for the same bytes; mitmproxy
    parses it again for TLS. A hundredth of a decrypted connection.
17. A WebSocket's message of over 256 KiB goes on while it comes, and is told of in pieces; mitmproxy keeps
    it whole in memory, copies all of it with each piece that comes, and tells of nothing before its end.
"""

from proxy_addons.mitmproxy_changes import (
    answers,
    bodies,
    client_hellos,
    connections,
    error_answers,
    failed_handshakes,
    held_answers,
    request_heads,
    websockets,
)
from proxy_addons.mitmproxy_changes.request_heads import HEAD_SECONDS, OnMalformed


def apply(on_malformed: OnMalformed, head_seconds: float = HEAD_SECONDS) -> None:
    """Change mitmproxy in this process. `on_malformed` hears of every head that was not read."""
    bodies.change()
    request_heads.change(on_malformed, head_seconds)
    answers.change()
    held_answers.change()
    error_answers.change()
    connections.change()
    failed_handshakes.change()
    client_hellos.change()
    websockets.change()
