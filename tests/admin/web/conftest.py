"""The admin site as it is served: uvicorn on loopback, a real database, a clock that tests set."""

import asyncio
import contextlib
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn

from admin import outbox
from admin.accounts import set_password
from admin.admin_process import AdminProcess, admin_process
from admin.commands.admin import KEEP_ALIVE_SECONDS
from admin.outbox import Letter
from admin.state_folder import StateFolder
from admin.web.application import create_application
from categories.publishing import publish_starter_if_empty
from policy.ask_token import AskToken
from policy.decision import Cause, Lane, Verdict
from policy.visit_record import VisitRecord, new_code
from tests import people, towns
from tests.admin.visit_files import in_visit_files

PASSWORD = "correct horse battery"
# The site is served without TLS. By itself, every client would read the system's authorities.
_TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_PAUSES = (
    "admin.ingest._PAUSE_SECONDS",
    "admin.publisher._WATCH_SECONDS",
    "admin.settings_file._WATCH_SECONDS",
    "admin.letters.delivery._LOOK_EVERY_SECONDS",
)
FRIDAY_MORNING = datetime(2026, 3, 6, 15, 14, 7, tzinfo=UTC)


@dataclass
class Clock:
    """The admin's clock; stands still unless a test moves it."""

    at: datetime = FRIDAY_MORNING

    def __call__(self) -> datetime:
        return self.at


@dataclass
class Site:
    """A running admin site and what tests do with it."""

    url: str
    admin: AdminProcess
    state: StateFolder
    clock: Clock
    clients: list[httpx.AsyncClient] = field(default_factory=list)
    accounts: set[str] = field(default_factory=set)

    def client(self) -> httpx.AsyncClient:
        """Return a browser without a session, which sends Origin as browsers do."""
        client = httpx.AsyncClient(base_url=self.url, headers={"Origin": self.url}, verify=_TRUSTS_NOBODY)
        self.clients.append(client)
        return client

    async def signed_in(self, person: str) -> httpx.AsyncClient:
        """Return a browser in which a person has signed in."""
        await self.give_password(person)
        client = self.client()
        answer = await post(client, "/sign-in", name=person, password=PASSWORD)
        assert answer.status_code == 303, answer.text
        return client

    async def give_password(self, person: str) -> None:
        """Let a person sign in; once, since hashing a password is slow on purpose."""
        if person not in self.accounts:
            self.accounts.add(person)
            await set_password(
                self.admin.db, person, PASSWORD, "admin", actor="first start", now=self.clock.at
            )

    async def asking(self, person: str | None = people.CLERK, **changed: object) -> httpx.AsyncClient:
        """Return a browser in which an Ask link was followed."""
        client = self.client()
        answer = await client.get("/ask", params={"token": self.token(person, **changed)})
        assert answer.status_code == 303, answer.text
        return client

    def token(self, person: str | None = people.CLERK, **changed: object) -> str:
        """Return the token of a block page."""
        values: dict[str, object] = {
            "host": "cardroom.example",
            "category": "gambling",
            "entry": "cardroom.example",
            "source": "starter",
            "rule": "not-town-business",
            "approval": ("department_head",),
            "person": person,
            "device": "FIN-PC-15",
            "department": "finance",
            "policy_version": self.admin.policy.version,
            "code": "K7M-4QP",
            "issued_at": self.clock.at,
        }
        return AskToken(**(values | changed)).seal(self.state.ask_token_key.read_bytes())  # type: ignore[arg-type]

    async def sent_request(
        self, person: str = people.CLERK, *, duration: str = "week", **changed: object
    ) -> int:
        """Send a request as this person; return its number."""
        client = await self.asking(person, **changed)
        answer = await post(
            client,
            f"/ask/{changed.get('code', 'K7M-4QP')}",
            reason="I need their charity report for the grant file.",
            duration=duration,
            for_whom="person",
        )
        assert answer.status_code == 303, answer.text
        return int(answer.headers["location"].split("/")[2])

    async def put(self, *letters: Letter) -> None:
        """Put letters into the outbox."""
        async with self.admin.db.transaction() as t:
            for letter in letters:
                await outbox.put(t, letter, self.clock.at)

    async def log(self, *records: VisitRecord) -> None:
        """Bring visits into the log as the proxy does, and wait until they are there."""
        before = await self._connections()
        (self.state.spool / f"{new_code()}.visits").write_bytes(b"".join(r.to_line() for r in records))
        async with asyncio.timeout(60):
            while await self._connections() < before + len(records):
                await asyncio.sleep(0.05)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(60):
            while not holds():
                await asyncio.sleep(0.05)

    async def why_of_first_visit(self) -> str:
        """Return the path of the page that says why the first visit came out as it did."""
        return await self.of_visit(1, "visits", "why")

    async def of_visit(self, number: int, page: str, action: str) -> str:
        """Return the path of a page about the visit that was the so manieth to come."""
        (month,) = await self.admin.db.visits.months()
        return f"/{page}/{month.first_id + number}/{action}"

    async def _connections(self) -> int:
        counted = await in_visit_files(self.admin.db, "SELECT connections FROM visit_row")
        return sum(row["connections"] for row in counted)


async def post(
    client: httpx.AsyncClient, path: str, page: str | None = None, **fields: str
) -> httpx.Response:
    """Send a form as its page has it: with the token found in the page."""
    shown = await client.get(page or path, follow_redirects=True)
    token = shown.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    assert token, f"{page or path} has no form: {shown.status_code}"
    return await client.post(path, data={"csrf_token": token, **fields})


def visit(at: datetime = FRIDAY_MORNING - timedelta(minutes=1), **changed: object) -> VisitRecord:
    """Return the record of the clerk's visit to a gambling site, blocked."""
    values: dict[str, object] = {
        "code": new_code(),
        "started_at": at,
        "ended_at": at,
        "address": "127.0.0.1",
        "person": people.CLERK,
        "device": "FIN-PC-15",
        "department": "finance",
        "scheme": "https",
        "host": "cardroom.example",
        "port": 443,
        "verdict": Verdict.BLOCK,
        "lane": Lane.BLOCK,
        "cause": Cause.RULE,
        "rule": "not-town-business",
        "exemption": None,
        "category": "gambling",
        "entry": "cardroom.example",
        "source": "starter",
        "refusal": None,
        "bytes_up": 0,
        "bytes_down": 0,
        "policy_sequence": 1,
        "policy_version": "1",
        "category_version": "1",
    }
    return VisitRecord(**(values | changed))  # type: ignore[arg-type]


class _Server(uvicorn.Server):
    """Uvicorn inside a test: signals are pytest's, and its end is not looked for ten times a second alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:
            await asyncio.sleep(0.02)


@pytest.fixture(scope="session")
def starter_lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the starter list is published, to copy: compiling it takes a while."""
    folder = tmp_path_factory.mktemp("starter-lists")
    publish_starter_if_empty(folder)
    return folder


@pytest.fixture
async def site(
    starter_lists: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Site]:
    """Return the site of the tests' town, running; everyone has the same password."""
    # Lists are as a test leaves them: no update by itself. What a test waits for is looked for more often.
    monkeypatch.setattr("admin.list_updates._LOOK_SECONDS", 3600.0)
    for pause in _PAUSES:
        monkeypatch.setattr(pause, 0.1)
    state = StateFolder(tmp_path_factory.mktemp("state"))
    state.create()
    shutil.copytree(starter_lists, state.categories, dirs_exist_ok=True)
    state.policy_document.write_text(towns.DOCUMENT)
    clock = Clock()
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with admin_process(state, url, clock) as admin:
        config = uvicorn.Config(
            create_application(admin, url),
            log_config=None,
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        site = Site(url, admin, state, clock)
        try:
            yield site
        finally:
            for client in site.clients:
                await client.aclose()
            server.should_exit = True
            await serving
