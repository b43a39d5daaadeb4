"""The figures as a table for people (Markdown) and as JSON for programs."""

import logging
import os
import platform
import ssl
import statistics
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.loads import Figure, Load
from tests.benchmarks.measuring import Measurement
from tests.benchmarks.proxies import Proxy


@dataclass(frozen=True, slots=True)
class Result:
    """What one load cost each proxy that can do it, by name, a measurement a round."""

    load: Load
    rounds: Mapping[str, Sequence[Measurement]]


@contextmanager
def without_log(level: int) -> Iterator[None]:
    """Log nothing of this level or below until the block ends."""
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def machine() -> str:
    """Say in one line what the figures depend on, and nothing that names the machine."""
    built = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return ", ".join(
        [
            f"{len(os.sched_getaffinity(0))} cores ({_processor()})",
            f"load average {os.getloadavg()[0]:.1f}",
            f"{platform.system()} {platform.release().partition('-')[0]}",
            f"Python {platform.python_version()}"
            + ("" if "--enable-optimizations" in built else " (configured without --enable-optimizations)"),
            " ".join(ssl.OPENSSL_VERSION.split()[:2]),
            f"mitmproxy {version('mitmproxy')}",
            f"uvloop {version('uvloop')}",
        ]
    )


def table(results: Sequence[Result], proxies: Sequence[Proxy]) -> str:
    """Return the figures, a row each, with the lowest and highest round.

    A ratio is the first proxy's figure to a peer's, the middle of that of each round.
    """
    names = list(dict.fromkeys(proxy.name for proxy in proxies))
    ours, *peers = names
    rows = [["load", "figure", *names, *(f"to {peer}" for peer in peers)]]
    for result in results:
        for index, figure in enumerate(result.load.figures):
            values = {name: [figure.of(one) for one in rounds] for name, rounds in result.rounds.items()}
            rows.append(
                [
                    "" if index else result.load.name,
                    figure.title,
                    *(_cell(figure, values[name]) if name in values else "-" for name in names),
                    *(_ratio(values[ours], values.get(peer, ())) for peer in peers),
                ]
            )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = ["-" * width for width in widths[:2]] + ["-" * (width - 1) + ":" for width in widths[2:]]
    return "\n".join(_line(row, widths) for row in (rows[0], rule, *rows[1:]))


def as_json(results: Sequence[Result], proxies: Sequence[Proxy]) -> dict[str, Any]:
    """Return everything measured, every round of it."""
    return {
        "machine": machine(),
        "proxies": [{"name": proxy.name, "about": proxy.about} for proxy in proxies],
        "loads": {
            result.load.name: {
                "about": result.load.about,
                "amount": result.load.amount,
                "rounds": {name: [asdict(one) for one in rounds] for name, rounds in result.rounds.items()},
            }
            for result in results
        },
    }


def _cell(figure: Figure, values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    spread = f" ({low:.2f}-{high:.2f})" if len(values) > 1 else ""
    return f"{figure.over_rounds(values):.2f}{spread}"


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    if not theirs or not all(theirs):
        return "-"
    return f"{statistics.median(one / other for one, other in zip(ours, theirs, strict=True)):.2f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return f"| {' | '.join(left + right)} |"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
