"""`make bench`: what Towngate costs beside a stock mitmdump, squid, squidGuard and e2guardian, in one run."""

import argparse
import functools
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.filters import e2guardian, squid_with_squidguard
from tests.benchmarks.loads import UNITS, Load, Scale, loads
from tests.benchmarks.measuring import Measurement, measure
from tests.benchmarks.origin import running_origin
from tests.benchmarks.proxies import Proxy, Start, opening_mitmdump, squid, stock_mitmdump, towngate
from tests.benchmarks.report import Result, as_json, machine, table

_HOW_TO_READ = """
A figure is the middle of all rounds (lowest-highest), for peak memory the highest; the ratio is the
middle of each round's. CPU and memory are the proxy's alone; memory counts mapped files, which
workers share."""


def main(arguments: Sequence[str] | None = None, scale: Scale | None = None) -> None:
    """Run the loads that are asked for and print the table."""
    names = [load.name for load in loads(Scale())]
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, help="run this load; may be repeated")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each load (default 3)")
    parser.add_argument("--size", type=_bytes, help="what is downloaded (default 2GiB)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's measurements too")
    options = parser.parse_args(arguments)
    scale = scale or Scale()
    if options.size is not None:
        scale = replace(scale, download_bytes=options.size)
    chosen = [load for load in loads(scale) if options.only is None or load.name in options.only]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="towngate-bench-")))
        _say("starting the origin server and the proxies")
        origin = stack.enter_context(running_origin(folder))
        proxies = []
        for number, start in enumerate(_starts(scale)):
            own = folder / str(number)
            own.mkdir()
            proxies.append(stack.enter_context(start(own, origin)))
        results = [_run(load, proxies, options.rounds) for load in chosen]
    _print(results, proxies)
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(results, proxies), indent=1) + "\n")


def _starts(scale: Scale) -> Iterator[Start]:
    """Yield what starts each proxy whose programs are installed."""
    yield from (towngate, stock_mitmdump, opening_mitmdump)
    peers: Sequence[tuple[Start, Sequence[str]]] = (
        (squid, ["squid"]),
        (functools.partial(squid_with_squidguard, listed=scale.listed_names), ["squid", "squidGuard"]),
        (functools.partial(e2guardian, listed=scale.listed_names), ["e2guardian"]),
    )
    for start, programs in peers:
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            _say(f"{' and '.join(missing)} is not installed: a peer less; make test-setup installs it")
        else:
            yield start


def _run(load: Load, proxies: Sequence[Proxy], rounds: int) -> Result:
    proxies = [proxy for proxy in proxies if load.is_for(proxy)]
    measured: dict[str, list[Measurement]] = {proxy.name: [] for proxy in proxies}
    for proxy in proxies:
        load.run(proxy, load.warm_up)
    # One after the other in every round: what slows the machine down for a while slows both.
    for number in range(1, rounds + 1):
        for proxy in proxies:
            done = measure(proxy.pid, functools.partial(load.run, proxy, load.amount))
            measured[proxy.name].append(done)
            spent = f"{done.cpu_seconds:.2f} s of CPU in {done.wall_seconds:.1f} s"
            _say(f"{load.name} {number}/{rounds} {proxy.name}: {spent}")
    return Result(load, measured)


def _print(results: Sequence[Result], proxies: Sequence[Proxy]) -> None:
    print(f"\n{machine()}\n")
    for proxy in proxies:
        print(f"{proxy.name}: {proxy.about}")
    print(f"\n{table(results, proxies)}\n")
    for result in results:
        print(f"{result.load.name}: {result.load.about}")
    print(_HOW_TO_READ)


def _bytes(text: str) -> int:
    match = re.fullmatch(rf"(\d+)({'|'.join(UNITS)})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size like 512MiB or 2GiB")
    return int(match[1]) * UNITS[match[2]]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
