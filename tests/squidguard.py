"""squidGuard's configuration as a policy of ours, for its own vectors: its sources and ACLs, no more.

A source with users is theirs where its addresses hold, too; one with addresses only is a department's
network. The first source that holds decides, as in squidGuard. Who is in none has `default`'s ACL.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

from categories.snapshot import CategorySnapshot
from policy.deciding import decide
from policy.decision import Decision, Verdict
from policy.identity import Identities
from policy.state import State
from policy.town_policy import Department, Network, Person, Policy, Rule, Town
from policy.visit import Client, Visit
from policy.web_address import parse_web_address

_BLOCK = re.compile(r"(src|dest)\s+(\w+)\s*\{([^}]*)\}|acl\s*\{((?:[^{}]*\{[^}]*\})*)\s*\}")
_ACL = re.compile(r"(\w+)\s*\{\s*pass\s+([^}]*)\}")
_AT = datetime(2026, 3, 2, 15, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Source:
    networks: tuple[Network, ...]
    users: frozenset[str]


class SquidGuard:
    """What squidGuard would be told on its standard input, answered by our policy.

    `categories` says which of our categories each of its destinations is.
    """

    def __init__(self, configuration: str, lists: CategorySnapshot, categories: dict[str, str]) -> None:
        text = re.sub(r"#.*", "", configuration)
        self._lists = lists
        self._sources: dict[str, _Source] = {}
        rules: list[Rule] = []
        for kind, name, content, acls in _BLOCK.findall(text):
            if kind == "src":
                words = dict(line.split(None, 1) for line in content.strip().splitlines() if line.strip())
                networks = tuple(ip_network(each) for each in words["ip"].split())
                self._sources[name] = _Source(networks, frozenset(words.get("user", "").split()))
            elif acls:
                for who, passed in _ACL.findall(acls):
                    rules += _rules(who, passed.split(), categories)
        self._policy = Policy(
            version="squidGuard",
            town=Town("squidGuard", "UTC"),
            departments={
                name: Department(name, "nobody", networks=() if source.users else source.networks)
                for name, source in self._sources.items()
            },
            people={
                user: Person(user, department=name)
                for name, source in self._sources.items()
                for user in source.users
            },
            rules=tuple(rules),
            # squidGuard has no view on ports, nor on addresses of the town's own networks.
            ports=frozenset(range(1, 1 << 16)),
            internal_networks=(ip_network("0.0.0.0/0"),),
        )
        self._identities = Identities(self._policy)

    def decide(self, line: str) -> Decision:
        """Judge one request as squidGuard is given it: URL, address/name, user, method."""
        url, origin, user, _ = line.split()
        address = parse_web_address(url)
        client = self._client(origin.partition("/")[0], user)
        # What goes by in a tunnel is seen without its path, here as there.
        path = address.path if address.scheme == "http" else None
        matches = self._lists.lookup(address.host, path)
        visit = Visit(client, address.scheme, address.host, address.port, path, _AT, matches)
        return decide(visit, self._policy, State())

    def _client(self, address: str, user: str) -> Client:
        is_users = any(
            user in source.users and any(ip_address(address) in network for network in source.networks)
            for source in self._sources.values()
        )
        return self._identities.identify(address, signed_in=user if is_users else None)


def _rules(who: str, passed: list[str], categories: dict[str, str]) -> Iterator[Rule]:
    """Yield the rules of one ACL; `default` is of clients that nobody knows, which the policy blocks."""
    if who == "default":
        assert passed == ["none"], "only a default that lets nothing pass is one of ours"
        return
    for number, word in enumerate(passed):
        verdict = Verdict.BLOCK if word.startswith("!") or word == "none" else Verdict.ALLOW
        name = word.removeprefix("!")
        listed = frozenset() if name in ("all", "none") else frozenset({categories[name]})
        yield Rule(f"{who}-{number}", verdict, listed, departments=frozenset({who}))
