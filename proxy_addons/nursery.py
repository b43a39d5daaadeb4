"""`python -m proxy_addons.nursery`: has imported all that a worker needs, and forks workers when told to.

What it has imported they share for as long as they only read it, and none waits for it at its start. It has
one thread, no event loop and no connection, so that none of that is in two processes after a fork.
"""

import argparse
import gc
import json
import os
import select
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FIGURES = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def _figures_of_nobody() -> Iterator[None]:
    """Have figures that are made meanwhile be where nobody adds them up; a worker makes its own anew."""
    folder = os.environ.get(_FIGURES)
    if folder is None:
        yield
        return
    aside = Path(folder) / "nursery"
    aside.mkdir(exist_ok=True)
    os.environ[_FIGURES] = str(aside)
    try:
        yield
    finally:
        os.environ[_FIGURES] = folder
        shutil.rmtree(aside)


with _figures_of_nobody():
    from proxy_addons import __main__ as worker_program

_ORDER_BYTES = 1 << 16
_PID_BYTES = 4


def main() -> None:
    """Fork a worker for each order on a socket, until whoever orders has closed it.

    An order is a worker's command line as a list in JSON, with the descriptor on which it reports. The worker
    becomes a child of whoever is the nearest subreaper, and then says its pid there first, in four bytes.
    """
    parser = argparse.ArgumentParser(prog="python -m proxy_addons.nursery", description=__doc__)
    parser.add_argument("--orders-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    arguments = parser.parse_args()
    # What is here now stays; the collector of a worker would write to all of it.
    gc.collect()
    gc.freeze()
    os.write(arguments.ready_fd, b"ready\n")
    os.close(arguments.ready_fd)
    orders = socket.socket(fileno=arguments.orders_fd)
    while True:
        order, reports, _, _ = socket.recv_fds(orders, _ORDER_BYTES, 1)
        if not order:
            return
        if _is_worker():
            orders.close()
            os.setsid()
            try:
                os.write(reports[0], os.getpid().to_bytes(_PID_BYTES, sys.byteorder))
            except BrokenPipeError:
                # Whoever ordered it waits no more.
                os._exit(0)
            worker_program.main([*json.loads(order), "--ready-fd", str(reports[0])])
        os.close(reports[0])


def _is_worker() -> bool:
    """Fork; return whether this is the new process, which is not a child of this one."""
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return False
    its_end = os.pidfd_open(os.getpid())
    if os.fork():
        os._exit(0)
    # By then this process has its new parent.
    select.select([its_end], [], [])
    os.close(its_end)
    return True


if __name__ == "__main__":
    main()
