"""`make bench-asking`: whether what people decide stays right, and how long they wait for it.

1. twenty heads decide a thousand requests at once, each request offered to two of them
2. the same, in a process that is killed (SIGKILL) again and again at any point
3. the page of a head whose 200 open requests are among 100,000: CPU and time
4. from a head's answer to its effect in each of two workers
"""

import argparse
import asyncio
import logging
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from admin import access_requests, submitting
from admin.accounts import set_password
from admin.admin_process import AdminProcess, admin_process
from admin.clock import utc_now
from admin.database import Database
from admin.state_folder import StateFolder
from admin.web.application import create_application
from categories.publishing import publish_starter_if_empty
from tests.admin.web.conftest import PASSWORD, post
from tests.benchmarks.large_town import HEADS, asked, decide_all, document, wrong_in
from tests.benchmarks.report import machine, without_log
from tests.proxied_town import served_web
from tests.proxy_client import ProxyClient
from tests.running_proxy import running_worker

_URL = "http://127.0.0.1:9"
_PAUSE_SECONDS = 0.15
_LONGEST_LIFE_SECONDS = 0.3
_INBOX_HEAD = "head-0"
_OPEN = 200
_VIEWS = 20
_LOOK_SECONDS = 0.005
_AGO = timedelta(days=400)


@asynccontextmanager
async def _admin(folder: Path) -> AsyncIterator[AdminProcess]:
    """Run admin, without its web server, for the large town in `folder`, which is made when it is new."""
    state = StateFolder(folder)
    state.create()
    publish_starter_if_empty(state.categories)
    state.policy_document.write_text(document())
    async with admin_process(state, _URL) as admin:
        yield admin


async def _send(admin: AdminProcess, count: int, at: datetime) -> None:
    for number in range(count):
        await submitting.submit(admin.db, admin.policy, admin.site_lists.categories, asked(number), at)


async def at_once(folder: Path, requests: int) -> str:
    """Run part 1; return what was found."""
    async with _admin(folder) as admin:
        await _send(admin, requests, utc_now())
        began = time.monotonic()
        deciding = (
            decide_all(admin.db, admin.policy, head, admin.now, random.Random(head)) for head in HEADS
        )
        lost = sum(await asyncio.gather(*deciding))
        seconds = time.monotonic() - began
        wrong = await wrong_in(admin.db, requests)
    return _found(
        wrong,
        f"{requests:,} requests decided by {len(HEADS)} heads at once in {seconds:.1f} s;"
        f" {lost} times another had been first, and was told so",
    )


async def killed(folder: Path, requests: int, kills: int) -> str:
    """Run part 2; return what was found."""
    async with _admin(folder) as admin:
        await _send(admin, requests, utc_now())
    dice = random.Random(7)
    for number in range(kills + 1):
        command = [sys.executable, "-m", "tests.benchmarks.asking", "--decide", str(folder)]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"deciding\n"
        if number == kills:
            await process.wait()
            break
        await asyncio.sleep(dice.uniform(0.0, _LONGEST_LIFE_SECONDS))
        process.send_signal(signal.SIGKILL)
        await process.wait()
        _say(f"kill {number + 1} of {kills}")
    async with Database.open(StateFolder(folder).database) as db:
        wrong = await wrong_in(db, requests)
        row = await db.fetch_one("SELECT count(*) AS count FROM access_request WHERE state = 'submitted'")
        assert row is not None
    undecided = row["count"]
    return _found(wrong, f"{requests:,} requests decided meanwhile, {kills} kills; {undecided} undecided")


async def _decide(folder: Path) -> None:
    """Be the process that is killed: every head decides, until nothing waits."""
    async with _admin(folder) as admin:
        print("deciding", flush=True)
        await asyncio.gather(
            *(
                decide_all(
                    admin.db, admin.policy, head, admin.now, random.Random(), pause_seconds=_PAUSE_SECONDS
                )
                for head in HEADS
            )
        )


async def inbox(folder: Path, requests: int, open_ones: int) -> str:
    """Run part 3; return what was found."""
    async with _admin(folder) as admin:
        await _fill(admin, requests, open_ones)
        client = await _signed_in(admin, _INBOX_HEAD)
        cpu, wall = [], []
        for _ in range(_VIEWS + 1):
            began = time.perf_counter(), time.process_time()
            page = await client.get("/decide")
            wall.append(time.perf_counter() - began[0])
            cpu.append(time.process_time() - began[1])
            assert page.status_code == 200, page.text
        shown = page.text.count("It is needed for the grant file.")
        await client.aclose()
    cpu_ms, wall_ms = (statistics.median(values[1:]) * 1000 for values in (cpu, wall))
    return (
        f"a head's {open_ones} open requests among {requests:,}: {cpu_ms:.0f} ms of CPU,"
        f" {wall_ms:.0f} ms of time (middle of {_VIEWS}; {shown} requests on the page)"
    )


async def _fill(admin: AdminProcess, requests: int, open_ones: int) -> None:
    """Have so many requests, all but the last ones decided long ago: copies of two real ones."""
    old = utc_now() - _AGO
    await _send(admin, 2, old)
    await access_requests.deny(
        admin.db, admin.policy, 1, actor=_INBOX_HEAD, at=old, reason="Not needed for work"
    )
    await access_requests.approve(
        admin.db, admin.policy, admin.site_lists.categories, 2, actor="head-1", at=old
    )
    async with admin.db.transaction() as t:
        names = [
            row["name"] for row in await t.fetch_all("SELECT name FROM pragma_table_info('access_request')")
        ]
        changed = {"id": "n + 2", "host": "'old-' || n || '.example'"}
        values = ", ".join(changed.get(name, name) for name in names)
        await t.execute(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
            f" INSERT INTO access_request ({', '.join(names)})"
            f" SELECT {values} FROM numbers, access_request WHERE access_request.id = 1 + n % 2",
            requests - open_ones - 2,
        )
    for number in range(open_ones):
        # Every tenth is of the first department.
        await submitting.submit(
            admin.db, admin.policy, admin.site_lists.categories, asked(10 * (number + 1)), utc_now()
        )
        _say(f"request {number + 1} of {open_ones}")


async def effect(folder: Path, answers: int) -> str:
    """Run part 4; return what was found."""
    taken: list[float] = []
    async with _admin(folder / "state") as admin:
        client = await _signed_in(admin, "head-0")
        numbers = [10 * number for number in range(answers)]
        with ExitStack() as stack:
            names = [asked(number).host for number in numbers]
            web = await asyncio.to_thread(stack.enter_context, served_web(folder / "web", names))
            hosts = web.hosts_file(folder / "hosts")
            workers = [
                await asyncio.to_thread(
                    stack.enter_context, running_worker(StateFolder(folder / "state").root, hosts)
                )
                for _ in range(2)
            ]
            proxies = [ProxyClient(worker.port) for worker in workers]
            for number in numbers:
                taken.append(await _until_open(admin, client, proxies, number))
                _say(f"answer {len(taken)} of {answers}")
        await client.aclose()
    milliseconds = sorted(each * 1000 for each in taken)
    p99 = milliseconds[min(len(milliseconds) - 1, int(0.99 * len(milliseconds)))]
    return (
        f"from a head's answer to its effect in both workers, {answers} times:"
        f" middle {statistics.median(milliseconds):.0f} ms, 99 of 100 within {p99:.0f} ms"
    )


async def _until_open(
    admin: AdminProcess, client: httpx.AsyncClient, proxies: Sequence[ProxyClient], number: int
) -> float:
    """Have a head allow the site of a request; return after how many seconds both workers let it through."""
    new = replace(asked(number), person="clerk-0-0")
    request = await submitting.submit(admin.db, admin.policy, admin.site_lists.categories, new, utc_now())
    url = f"http://{new.host}/"
    assert [proxy.get(url).status for proxy in proxies] == [403, 403]
    shown = await client.get(f"/decide/{request.id}")
    form = {"answer": "allow", "step": "0"}
    for name in ("csrf_token", "expires_at"):
        form[name] = shown.text.partition(f'name="{name}" value="')[2].partition('"')[0]
    began = time.monotonic()
    answer = await client.post(f"/decide/{request.id}", data=form)
    assert answer.status_code == 303, answer.text
    for proxy in proxies:
        while (await asyncio.to_thread(proxy.get, url)).status == 403:
            await asyncio.sleep(_LOOK_SECONDS)
    return time.monotonic() - began


async def _signed_in(admin: AdminProcess, person: str) -> httpx.AsyncClient:
    await set_password(admin.db, person, PASSWORD, "admin", actor="bench", now=utc_now())
    transport = httpx.ASGITransport(create_application(admin, _URL))
    client = httpx.AsyncClient(transport=transport, base_url=_URL, headers={"Origin": _URL})
    answer = await post(client, "/sign-in", name=person, password=PASSWORD)
    assert answer.status_code == 303, answer.text
    return client


def _found(wrong: Sequence[str], text: str) -> str:
    return (
        f"{text}; {len(wrong)} things that do not fit together{''.join(f'{chr(10)}  {w}' for w in wrong[:5])}"
    )


async def _measure(options: argparse.Namespace, folder: Path) -> None:
    if options.requests:
        print(await at_once(folder / "at-once", options.requests), flush=True)
        if options.kills:
            print(await killed(folder / "killed", options.requests, options.kills), flush=True)
    if options.inbox:
        print(await inbox(folder / "inbox", options.inbox, min(_OPEN, options.inbox // 2)), flush=True)
    if options.answers:
        print(await effect(folder / "effect", options.answers), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every part and print what was found."""
    parser = argparse.ArgumentParser(prog="make bench-asking ARGS=...", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="decided at once, and under kills")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--inbox", type=int, default=100_000, help="requests there are")
    parser.add_argument("--answers", type=int, default=100, help="followed to their effect")
    parser.add_argument("--decide", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.decide is not None:
        with without_log(logging.CRITICAL):
            asyncio.run(_decide(options.decide))
        return
    print(f"{machine()}\n", flush=True)
    with without_log(logging.WARNING), tempfile.TemporaryDirectory(prefix="towngate-asking-") as folder:
        asyncio.run(_measure(options, Path(folder)))


def _say(text: str) -> None:
    print(f"\r{text}   ", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
