"""A worker, run with `python -m`, that waits for a second where the real one waits for minutes."""

from proxy_addons import __main__ as worker
from proxy_addons import tunnel_lane
from proxy_addons.chain import Towngate
from proxy_addons.connect_gate import ConnectGate
from tests.quick_worker import make_quick

if __name__ == "__main__":
    make_quick()
    Towngate.head_seconds = 1.0
    ConnectGate.hello_seconds = 1.0
    tunnel_lane._SILENT_SECONDS = 1.0
    tunnel_lane._IDLE_SECONDS = 1.0
    worker.main()
