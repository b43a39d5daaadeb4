"""Looks names up and dials them, inside namespaces of its own, with a real DNS that can be slow.

`run_outside` starts it; it prints what was seen as JSON.
"""

import asyncio
import json
import tempfile
from pathlib import Path

from proxy_addons.name_lookup import NameLookup
from proxy_addons.resolver import Resolver
from proxy_addons.snapshot_watch import SnapshotWatch
from tests.evasion.origin import Origin
from tests.evasion.outside import REBINDING, SLOW, NameServer, outside
from tests.published_town import PublishedTown

CLIENT, OTHER_CLIENT = "10.10.20.15", "10.10.20.16"

type Facts = dict[str, object]


def main() -> None:
    """Try everything, and say what came of it."""
    with tempfile.TemporaryDirectory(prefix="towngate-names-") as name:
        folder = Path(name)
        judge = SnapshotWatch(PublishedTown(folder / "state").state.root).judge
        with outside(folder) as server:
            origin = Origin(folder)
            found = asyncio.run(_facts(Resolver(lambda: judge, {}, names=NameLookup()), server))
            found["unremembered"] = asyncio.run(
                _rebound(Resolver(lambda: judge, {}, names=NameLookup(max_age_seconds=0)))
            )
            origin.close()
    print(json.dumps(found))


async def _facts(resolver: Resolver, server: NameServer) -> Facts:
    return {
        "slow and quick": await _slow_and_quick(resolver),
        "asked for the slow name": server.asked.get(SLOW),
        "six-is-dead": await _dial(resolver, "six-is-dead.example"),
        "three-are-dead": await _dial(resolver, "three-are-dead.example"),
        "six": await _dial(resolver, "six.example"),
        "nowhere": [await _dial(resolver, "nowhere.example") for _ in range(5)],
        "asked for nowhere": server.asked.get("nowhere.example"),
        "remembered": [await _dial(resolver, "library.example") for _ in range(5)],
        "asked for the remembered": server.asked.get("library.example"),
        "both kinds": await _dial(resolver, "both-kinds.example"),
        "given up": await _given_up(resolver),
        "crowded": await _crowded(resolver),
    }


async def _slow_and_quick(resolver: Resolver) -> list[str]:
    """Return the names in the order in which they were reached: three asked for a slow one first."""
    reached: list[str] = []

    async def reach(name: str) -> None:
        await _dial(resolver, name)
        reached.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name in (SLOW, SLOW, SLOW, "news.example", "six.example"):
            tasks.create_task(reach(name))
    return reached


async def _crowded(resolver: Resolver) -> list[str]:
    """Return the names in the order in which they were reached: after a client with very many slow ones,
    another client asks for one that is quick."""
    reached: list[str] = []

    async def reach(name: str, client: str) -> None:
        await _dial(resolver, name, client)
        reached.append(name)

    crowd = [asyncio.create_task(reach(f"{n}.{SLOW}", CLIENT)) for n in range(200)]
    await asyncio.sleep(0.1)
    await reach("quick.example", OTHER_CLIENT)
    await crowd[0]
    for one in crowd:
        one.cancel()
    return reached


async def _given_up(resolver: Resolver) -> list[str]:
    """Return what two see who wait for one name, of whom the first gives up."""
    resolver._names._kept.clear()
    first = asyncio.create_task(_dial(resolver, SLOW))
    second = asyncio.create_task(_dial(resolver, SLOW))
    await asyncio.sleep(0.1)
    first.cancel()
    done = await asyncio.gather(first, second, return_exceptions=True)
    return [one if isinstance(one, str) else type(one).__name__ for one in done]


async def _rebound(resolver: Resolver) -> list[str]:
    first = await _dial(resolver, REBINDING)
    return [first, await _dial(resolver, REBINDING)]


async def _dial(resolver: Resolver, name: str, client: str = CLIENT) -> str:
    """Return the address that was reached, or why none was."""
    try:
        _, writer = await resolver.open_connection(name, 80, client=client)
    except OSError as error:
        return str(error)
    peer: str = writer.get_extra_info("peername")[0]
    writer.close()
    return peer


if __name__ == "__main__":
    main()
