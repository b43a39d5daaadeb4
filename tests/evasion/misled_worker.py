"""A worker, run with `python -m`, whose resolver judges nothing: what comes after it must see to it.

A fake: it stands for a mistake in the resolver, or in what dials by it.
"""

from typing import Any

from proxy_addons import __main__ as worker
from proxy_addons.resolver import Resolver
from tests import quick_worker

if __name__ == "__main__":

    async def unjudged(self: Resolver, host: str, port: int, client: str) -> list[tuple[str, int]]:
        found: Any = await self._names.addresses(host, client)
        return [(address, port) for address in found]

    Resolver._addresses = unjudged  # type: ignore[method-assign]
    quick_worker.make_quick()
    worker.main()
