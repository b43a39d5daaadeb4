"""Towngate's own site behind its own proxy."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.proxy_client import ProxyClient
from tests.published_town import PublishedTown
from tests.running_proxy import running_worker


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def admin_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{site.server_port}"
        site.shutdown()


def test_a_visit_to_the_admin_site_is_let_through_and_leaves_no_record(
    admin_url: str, tmp_path: Path
) -> None:
    town = PublishedTown(tmp_path / "state", admin_url=admin_url)
    with running_worker(town.state.root) as proxy:
        client = ProxyClient(proxy.port)
        assert client.get(f"{admin_url}/visits").status == 200
        assert client.get("http://cardroom.example/").status == 403
        time.sleep(1)
    assert [record.host for record in town.spooled()] == ["cardroom.example"]
