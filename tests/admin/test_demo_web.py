"""The demo town's web answers as the sites it stands for, and counts who came."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from admin import demo_web as demo_web_module
from admin.demo_web import SITES, DemoWeb
from admin.demo_web import demo_web as serve


def client_for(web: DemoWeb) -> httpx.AsyncClient:
    """Return a client that trusts the demo web's authority and nothing else."""
    trusted = ssl.create_default_context(cafile=str(web.ca_certificate))
    return httpx.AsyncClient(verify=trusted, trust_env=False)


async def get(
    client: httpx.AsyncClient, web: DemoWeb, name: str, path: str = "/", method: str = "GET"
) -> httpx.Response:
    return await client.request(
        method,
        f"https://127.0.0.1:{web.https_port}{path}",
        headers={"Host": name},
        extensions={"sni_hostname": name},
    )


@pytest.mark.parametrize("name", SITES)
async def test_each_site_proves_and_says_who_it_is(demo_web: DemoWeb, name: str) -> None:
    async with client_for(demo_web) as client:
        answer = await get(client, demo_web, name)

    assert answer.status_code == 200
    assert f"You are on {name}, over HTTPS." in answer.text
    assert demo_web.hits == {name: 1}


async def test_same_sites_answer_over_plain_http(demo_web: DemoWeb) -> None:
    async with client_for(demo_web) as client:
        answer = await client.get(
            f"http://127.0.0.1:{demo_web.http_port}/", headers={"Host": f"news.example:{demo_web.http_port}"}
        )

    assert "You are on news.example, over HTTP." in answer.text
    assert demo_web.hits == {"news.example": 1}


async def test_name_that_is_not_served_gets_no_connection(demo_web: DemoWeb) -> None:
    trusted = ssl.create_default_context(cafile=str(demo_web.ca_certificate))
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await asyncio.open_connection(
            "127.0.0.1", demo_web.https_port, ssl=trusted, server_hostname="elsewhere.example"
        )

    assert demo_web.hits == {}


async def test_other_names_can_be_served(tmp_path: Path) -> None:
    async with serve(tmp_path, names=["pokerstars.com"]) as web, client_for(web) as client:
        answer = await get(client, web, "pokerstars.com")

    assert "You are on pokerstars.com" in answer.text


async def test_connection_without_a_handshake_is_counted_as_a_connection(demo_web: DemoWeb) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", demo_web.https_port)
    while demo_web.connections == 0:
        await asyncio.sleep(0.01)
    writer.close()

    assert demo_web.connections == 1
    assert demo_web.hits == {}


@pytest.mark.parametrize("size_bytes", [0, 1, 65_536, 1_000_001])
async def test_big_sends_as_many_bytes_as_asked_for(demo_web: DemoWeb, size_bytes: int) -> None:
    async with client_for(demo_web) as client:
        answer = await get(client, demo_web, "library.example", f"/big?bytes={size_bytes}")

    assert answer.content == bytes(size_bytes)


async def test_who_leaves_in_the_middle_of_big_keeps_nobody_waiting(demo_web: DemoWeb) -> None:
    trusted = ssl.create_default_context(cafile=str(demo_web.ca_certificate))
    client = socket.create_connection(("127.0.0.1", demo_web.https_port))

    def read_a_little_and_leave() -> float:
        with trusted.wrap_socket(client, server_hostname="library.example") as tls:
            tls.sendall(b"GET /big?bytes=1000000000000000000 HTTP/1.1\r\nHost: library.example\r\n\r\n")
            assert tls.recv(1000)
            # Closed by force, as a proxy closes a tunnel: what is on its way is thrown away.
            tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return time.monotonic()

    left_at = await asyncio.to_thread(read_a_little_and_leave)
    async with client_for(demo_web) as other:
        assert (await get(other, demo_web, "news.example")).status_code == 200
    assert time.monotonic() - left_at < 5


async def test_big_without_a_number_says_what_it_wants(demo_web: DemoWeb) -> None:
    async with client_for(demo_web) as client:
        answer = await get(client, demo_web, "library.example", "/big?bytes=many")

    assert (answer.status_code, answer.text) == (400, "/big?bytes=N sends N zero bytes\n")


@pytest.mark.parametrize("chunked", [False, True])
async def test_upload_counts_what_arrived(demo_web: DemoWeb, chunked: bool) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(1000)

    async with client_for(demo_web) as client:
        answer = await client.put(
            f"http://127.0.0.1:{demo_web.http_port}/upload", content=body() if chunked else bytes(100_000)
        )

    assert answer.text == "100000 bytes arrived\n"


async def test_one_connection_carries_many_requests(demo_web: DemoWeb) -> None:
    async with client_for(demo_web) as client:
        for method in ("GET", "HEAD", "GET"):
            answer = await get(client, demo_web, "shop.example", method=method)
            assert answer.status_code == 200

    assert demo_web.hits == {"shop.example": 3}
    assert demo_web.connections == 1


async def test_host_with_markup_is_shown_escaped(demo_web: DemoWeb) -> None:
    async with client_for(demo_web) as client:
        answer = await client.get(f"http://127.0.0.1:{demo_web.http_port}/", headers={"Host": "<b>x</b>"})

    assert "<b>" not in answer.text
    assert "&lt;b&gt;x&lt;/b&gt;" in answer.text


async def test_what_is_not_http_is_hung_up_on(demo_web: DemoWeb) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", demo_web.http_port)
    writer.write(b"SSH-2.0-client\r\n\r\n")

    assert await reader.read() == b""
    writer.close()


async def test_open_connections_do_not_hold_up_the_end(tmp_path: Path) -> None:
    async with serve(tmp_path) as web:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.http_port)
        writer.write(b"GET / HTTP/1.1\r\nHost: library.example\r\n\r\n")
        await reader.readuntil(b"</html>\n")

    assert await asyncio.wait_for(reader.read(), timeout=30) == b""
    writer.close()


async def test_resolver_table_gives_both_ports_of_every_site(tmp_path: Path) -> None:
    async with serve(tmp_path, names=["a.example", "b.example"]) as web:
        table = web.hosts_file(tmp_path / "hosts").read_text()

    assert table.splitlines() == [
        f"a.example:443 127.0.0.1:{web.https_port}",
        f"a.example:80 127.0.0.1:{web.http_port}",
        f"b.example:443 127.0.0.1:{web.https_port}",
        f"b.example:80 127.0.0.1:{web.http_port}",
    ]


async def test_authority_is_kept_from_start_to_start_and_its_key_is_private(tmp_path: Path) -> None:
    async with serve(tmp_path) as web:
        first = web.ca_certificate.read_bytes()
    async with serve(tmp_path) as web, client_for(web) as client:
        assert web.ca_certificate.read_bytes() == first
        assert (await get(client, web, "library.example")).status_code == 200

    assert (tmp_path / "demo-web-ca.key").stat().st_mode & 0o077 == 0


async def test_it_has_settled_when_all_that_was_accepted_is_answered(
    demo_web: DemoWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_web_module, "_SETTLE_SECONDS", 60)
    await asyncio.wait_for(demo_web.settle(), 30)
    reader, writer = await asyncio.open_connection("127.0.0.1", demo_web.http_port)
    writer.write(b"GET / HTTP/1.1\r\nHost: news.example\r\n")
    settling = asyncio.create_task(demo_web.settle())
    await asyncio.sleep(0.2)
    assert not settling.done()
    writer.write(b"\r\n")
    await asyncio.wait_for(settling, 30)
    # Whatever becomes of the connection now, its answer is on the way.
    await demo_web.hang_up()
    assert b"You are on news.example" in await reader.read(1 << 16)
    writer.close()
