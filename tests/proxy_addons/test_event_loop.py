"""The event loop of a worker: what it takes uvloop apart for."""

import subprocess
import sys

_SERVE = """
import asyncio, gc, json, socket, sys
from proxy_addons.event_loop import TransportsByDescriptor, WorkerLoop

written = set()
put = TransportsByDescriptor.__setitem__
def noted(self, descriptor, transport):
    written.add(descriptor)
    put(self, descriptor, transport)
TransportsByDescriptor.__setitem__ = noted

async def main():
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    for _ in range(3):
        ours = socket.create_connection(server.sockets[0].getsockname())
        ours.setblocking(False)
        descriptor = ours.fileno()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        try:
            loop.add_reader(descriptor, print)
            said = "nothing"
        except RuntimeError as error:
            said = str(error)
        transport.close()
        await asyncio.sleep(0.05)
        del transport, ours
    gc.collect()
    kept = sum(type(thing).__name__ == "TCPTransport" for thing in gc.get_objects())
    reading, writing = socket.socketpair()
    heard = asyncio.Event()
    loop.add_reader(reading.fileno(), heard.set)
    writing.send(b"x")
    await asyncio.wait_for(heard.wait(), 5)
    loop.remove_reader(reading.fileno())
    print(json.dumps([descriptor in written, "is used by transport" in said, reading.fileno() in written]))
    print(kept)
    server.close()

with asyncio.Runner(loop_factory=WorkerLoop) as runner:
    runner.run(main())
"""


def test_uvloop_knows_its_transports_by_what_it_is_given_for_that() -> None:
    # In a process of its own: uvloop takes it when it is imported first.
    done = subprocess.run(
        [sys.executable, "-c", _SERVE], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    known, kept = done.stdout.splitlines()
    # A live transport's descriptor is refused to others, one that was a transport's serves again.
    assert known == "[true, true, true]"
    assert int(kept) == 0
