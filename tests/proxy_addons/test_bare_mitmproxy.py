"""A worker imports what it uses of mitmproxy, and no other addon of it."""

import subprocess
import sys

_LOADED = """
import sys
import proxy_addons.__main__
from mitmproxy import addons
from mitmproxy.addons import proxyserver
assert addons.proxyserver is proxyserver
print(*sys.modules)
"""


def test_a_worker_leaves_out_the_addons_that_it_does_not_use() -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    assert "mitmproxy.addons.tlsconfig" in modules
    assert not {"flask", "tornado", "ldap3", "mitmproxy.addons.clientplayback"} & set(modules)


def test_who_has_imported_them_all_keeps_them() -> None:
    program = "import mitmproxy.addons as addons, proxy_addons.bare_mitmproxy; addons.default_addons()"
    subprocess.run([sys.executable, "-c", program], check=True)
