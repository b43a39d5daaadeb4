"""A fake provider, for tokens and documents that no real one issues: it answers what a test tells it."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.openid.provider import CLIENT_ID


@dataclass
class FakeProvider:
    """Answers by path; counts how often each was asked for. `token` is what every code is worth."""

    issuer: str
    key: RSAKey
    answers: dict[str, object] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    token: str = ""
    silent_seconds: float = 0

    def publish(self, *keys: RSAKey) -> None:
        """Publish these keys."""
        self.answers["/jwks"] = {"keys": [key.as_dict(private=False) for key in keys]}

    def sign(self, nonce: str, key: RSAKey | None = None, /, **changed: object) -> None:
        """Have codes be worth this token: the clerk's, now, with what is changed; None leaves a claim out."""
        key, now = key or self.key, int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": "clerk",
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "preferred_username": "clerk",
        } | changed
        said = {name: value for name, value in claims.items() if value is not None}
        self.token = jwt.encode({"alg": "RS256", "kid": key.kid}, said, key)


@contextlib.contextmanager
def fake_provider(key: RSAKey) -> Iterator[FakeProvider]:
    """Run a fake provider on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(fake.silent_seconds)
            fake.asked[self.path] = fake.asked.get(self.path, 0) + 1
            answer = fake.answers.get(self.path)
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(200 if answer is not None else 404)
            self.send_header("Content-Length", str(len(body)))
            # Who gave up, or has read enough, is gone.
            with contextlib.suppress(OSError):
                self.end_headers()
                self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            fake.answers["/token"] = {"id_token": fake.token, "token_type": "Bearer"}
            self.do_GET()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = f"http://127.0.0.1:{server.server_port}"
    fake = FakeProvider(issuer, key)
    fake.answers["/.well-known/openid-configuration"] = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/auth",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
    }
    fake.publish(key)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield fake
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
