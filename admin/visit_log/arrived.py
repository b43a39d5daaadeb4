"""A record of a visit on its way into the log."""

import json
from typing import NamedTuple

from admin.sqlite_file import Value


class Arrived(NamedTuple):
    """A record as it is written; times in ms. `site` is the host's key (`site_key`).

    `connections`, `requests`, `pages` and `addresses` as in VisitRecord; `is_shown`: a person was
    shown its code.
    """

    started_at: int
    ended_at: int
    code: str
    client: tuple[str, str | None, str | None, str | None]
    """address, person, device, department"""
    site: str
    decision: tuple[Value, ...]
    """scheme, port, verdict, lane, cause, rule, exemption, category, entry, source"""
    versions: tuple[int, str, str]
    """policy_sequence, policy_version, category_version"""
    refusal: str | None
    bytes_up: int
    bytes_down: int
    is_running: bool = False
    connections: int = 1
    requests: int = 0
    pages: int = 0
    is_shown: bool = False
    addresses: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> "Arrived":
        """Read back what `json.dumps` made of one."""
        started_at, ended_at, code, client, site, decision, versions, *rest = json.loads(text)
        whole = tuple(client), site, tuple(decision), tuple(versions)
        arrived = cls(started_at, ended_at, code, *whole, *rest)
        return arrived._replace(is_running=False, addresses=tuple(arrived.addresses))
