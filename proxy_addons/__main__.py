"""`python -m proxy_addons`: one worker; those of a supervisor are forked by the `nursery`."""

import argparse
import asyncio
import logging
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from policy.log_lines import configure_logging
from proxy_addons import bare_mitmproxy, worker  # noqa: F401 - the first has to come first
from proxy_addons.chain import START_ERRORS
from proxy_addons.connection_limit import CONNECTIONS_PER_ADDRESS
from proxy_addons.draining import DRAIN_SECONDS
from proxy_addons.event_loop import WorkerLoop


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run a worker, as `words` or else the command line say.

    Exit code 2 when it could not start, with one line on why.
    """
    parser = argparse.ArgumentParser(prog="python -m proxy_addons", description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--number", type=int, default=1)
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--lifeline-fd", type=int)
    parser.add_argument("--hosts", type=Path)
    parser.add_argument("--no-lane", dest="has_lane", action="store_false")
    parser.add_argument("--own-port", type=int, action="append", default=[])
    parser.add_argument("--connections", type=int, default=CONNECTIONS_PER_ADDRESS)
    parser.add_argument("--drain-seconds", type=float, default=DRAIN_SECONDS)
    arguments = parser.parse_args(words)
    # It may be one of many that the nursery forked, whose command line is the nursery's.
    Path("/proc/self/comm").write_text(f"proxy worker {arguments.number}")
    configure_logging("proxy")
    # Two descriptors a tunnel: a shell's usual 1,024 are for 500 of them.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    settings = worker.WorkerSettings(
        arguments.state,
        arguments.listen_fd,
        arguments.ready_fd,
        arguments.lifeline_fd,
        arguments.hosts,
        arguments.has_lane,
        tuple(arguments.own_port),
        arguments.connections,
        arguments.number,
        arguments.drain_seconds,
    )
    status = 0
    try:
        asyncio.Runner(loop_factory=WorkerLoop).run(worker.serve(settings))
    except START_ERRORS as error:
        # The supervisor says it once for all workers; without one it is said here.
        if arguments.lifeline_fd is None:
            print(f"towngate proxy: {error}", file=sys.stderr)
        else:
            os.write(arguments.ready_fd, f"{error}\n".encode())
        status = 2
    # Everything is written. What is left may be a thread in a name lookup, which nothing interrupts
    # and for which closing the loop would wait.
    logging.shutdown()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
