"""A worker, run with `python -m`, that waits half a second for what must come, and takes 20 connections."""

from proxy_addons import __main__ as worker
from proxy_addons.chain import Towngate
from proxy_addons.connect_gate import ConnectGate
from tests import quick_worker

CONNECTIONS = 20
HASTE_SECONDS = 0.5

if __name__ == "__main__":
    Towngate.head_seconds = HASTE_SECONDS
    ConnectGate.hello_seconds = HASTE_SECONDS
    worker.CONNECTIONS_PER_ADDRESS = CONNECTIONS
    quick_worker.make_quick()
    worker.main()
