"""A worker, run with `python -m`, that waits for a second where the real one waits for minutes."""

from proxy_addons import __main__ as worker
from proxy_addons import chain, tunnel_lane

if __name__ == "__main__":
    chain._FLUSH_SECONDS = 0.02
    tunnel_lane._SILENT_SECONDS = 1.0
    tunnel_lane._IDLE_SECONDS = 1.0
    worker.main()
