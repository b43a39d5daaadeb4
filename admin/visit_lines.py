"""A visit as a line of text: for people, as JSON, as a row of a table, as squid writes its log."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from urllib.parse import quote
from zoneinfo import ZoneInfo

from admin.visits import VisitRow
from admin.written_text import as_cell
from policy import amounts
from policy.decision import Lane, Verdict
from policy.file_types import described, refused_types
from policy.visit_record import CODE_ALPHABET


class Form(StrEnum):
    """How visits are written."""

    LINE = "line"
    JSON = "json"
    CSV = "csv"
    SQUID = "squid"


type Show = Callable[[VisitRow], str]


def shown_as(form: Form, zone: ZoneInfo) -> Show:
    """Return what makes a line of a visit; times of lines are the zone's, the others UTC."""
    shows: dict[Form, Show] = {
        Form.LINE: _Line(zone),
        Form.JSON: lambda row: json.dumps(values_of(row)),
        Form.CSV: lambda row: _as_csv(["" if value is None else str(value) for value in _cells(row)]),
        Form.SQUID: _as_squid,
    }
    return shows[form]


def heading(form: Form) -> str | None:
    """Return the line that comes before all others; None where there is none."""
    return _as_csv(_COLUMNS) if form is Form.CSV else None


class _Line:
    """Shows a visit as a line: when, who, what came of it, where, and why."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def __call__(self, row: VisitRow) -> str:
        at = row.started_at.astimezone(self._zone)
        who = row.who
        name = who.person or who.device or (f"person {who.code}" if who.code else "")
        shown = f"{who.department or 'unknown'} {name}".strip()
        why = " ".join(part for part in (row.rule or row.exemption or row.cause.value, row.category) if part)
        types = refused_types(row.refusal)
        why += f": {described(types)}" if types is not None else ""
        # Whoever looks for "4.1 kB" in the lines types a space.
        amount = amounts.size(row.bytes_down).replace(amounts.NO_BREAK, " ")
        counted = f"{amount} in {row.lasted.total_seconds():.1f} s"
        # What is allowed and checked inside is told apart from what goes by in a tunnel.
        is_opened = row.verdict is Verdict.ALLOW and row.lane is Lane.INSPECT
        came = row.lane.value if is_opened else row.verdict.value
        return f"{at:%Y-%m-%d %H:%M:%S}  {shown:<24}  {came:<9}  {row.host}  ({why})  {counted}"


def values_of(row: VisitRow) -> dict[str, object]:
    """Return a visit as JSON has it; who made it as far as the row says."""
    who, types = row.who, refused_types(row.refusal)
    return {
        "id": row.id,
        "started_at": row.started_at.isoformat(),
        "ended_at": row.ended_at.isoformat(),
        "seconds": row.lasted.total_seconds(),
        "department": who.department,
        "who": who.code,
        "person": who.person,
        "device": who.device,
        "address": who.address,
        "scheme": row.scheme,
        "host": row.host,
        "port": row.port,
        "verdict": row.verdict.value,
        "lane": row.lane.value,
        "cause": row.cause.value,
        "rule": row.rule,
        "exemption": row.exemption,
        "category": row.category,
        "entry": row.entry,
        "source": row.source,
        "refusal": row.refusal,
        "file_types": None if types is None else sorted(types),
        "connections": row.connections,
        "requests": row.requests,
        "pages": row.pages,
        "bytes_up": row.bytes_up,
        "bytes_down": row.bytes_down,
        "addresses": None if row.addresses is None else list(row.addresses),
        "code": row.code,
        "policy_sequence": row.policy_sequence,
        "policy_version": row.policy_version,
        "category_version": row.category_version,
    }


_COLUMNS = (
    *("started_at", "ended_at", "seconds", "department", "who", "person", "device", "address"),
    *(
        "scheme",
        "host",
        "port",
        "verdict",
        "lane",
        "cause",
        "rule",
        "exemption",
        "category",
        "entry",
        "source",
    ),
    *("refusal", "connections", "requests", "pages", "bytes_up", "bytes_down"),
    *("code", "policy_version", "category_version"),
)


def _cells(row: VisitRow) -> Sequence[object]:
    values = values_of(row)
    return [values[name] for name in _COLUMNS]


def _as_csv(cells: Sequence[str]) -> str:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="").writerow(map(as_cell, cells))
    return written.getvalue()


def _as_squid(row: VisitRow) -> str:
    """Return a visit in squid's native format (access.log), which no line of ours fits whole.

    What was carried is a 200 and what was not a 403, whatever the origin server answered. A request's
    method and path are not known: CONNECT or GET, of the host. While names are hidden, the client's
    address is a stand-in of the day (240.0.0.0/8, which nobody has), and the user the code of the day.
    """
    is_carried = row.verdict is not Verdict.BLOCK and row.lane is not Lane.REFUSE
    host = f"[{row.host}]" if ":" in row.host else row.host
    if row.scheme == "https":
        method, url, result = "CONNECT", f"{host}:{row.port}", "TCP_TUNNEL"
    else:
        method, url, result = "GET", f"http://{host}/", "TCP_MISS"
    return " ".join(
        [
            f"{row.ended_at.timestamp():.3f}",
            f"{row.lasted.total_seconds() * 1000:6.0f}",
            quote(row.who.address, safe=":") if row.who.address else _stand_in(row.who.code),
            f"{result}/200" if is_carried else "TCP_DENIED/403",
            str(row.bytes_down),
            method,
            quote(url, safe=":/[]"),
            quote(row.who.person or row.who.code or "-", safe=""),
            f"HIER_DIRECT/{quote(row.host, safe=':')}" if is_carried else "HIER_NONE/-",
            "-",
        ]
    )


def _stand_in(code: str | None) -> str:
    number = 0
    for sign in code or "":
        number = number * len(CODE_ALPHABET) + CODE_ALPHABET.index(sign)
    return f"240.0.{number >> 8}.{number & 255}"
