"""A worker, run with `python -m`, that brings visits to disk fifty times a second instead of twice.

Most tests wait for the record of each visit. When records are on disk is tested with the real one.
"""

from proxy_addons import __main__ as worker
from proxy_addons import chain


def make_quick() -> None:
    """Have visits of this process brought to disk quickly."""
    chain._FLUSH_SECONDS = 0.02


if __name__ == "__main__":
    make_quick()
    worker.main()
