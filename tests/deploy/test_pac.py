"""proxy.pac as a browser's engine understands it."""

import re
import subprocess
from pathlib import Path

import pytest

from admin.pac import PacSettings, pac_file

PAC = Path(__file__).parents[2] / "deploy" / "pac" / "proxy.pac"
PROXY = "PROXY proxy.town.example:8080"


@pytest.mark.needs("pactester")
@pytest.mark.parametrize(
    ("url", "way"),
    [
        ("https://library.example/", PROXY),
        ("http://library.example/town.example", PROXY),
        ("https://TOWN.EXAMPLE.evil.example/", PROXY),
        ("https://nottown.example/", PROXY),
        ("https://town.example/", "DIRECT"),
        ("https://towngate.town.example:8443/ask", "DIRECT"),
        ("https://Towngate.Town.Example/", "DIRECT"),
        ("http://intranet/", "DIRECT"),
        ("http://localhost:8000/", "DIRECT"),
        ("http://127.0.0.1:8000/", "DIRECT"),
        ("http://10.10.1.9/", "DIRECT"),
        ("http://172.31.255.1/", "DIRECT"),
        ("http://172.32.0.1/", PROXY),
        ("http://192.168.1.1/", "DIRECT"),
        ("https://203.0.113.10/", PROXY),
        # Names made to look like addresses of the town.
        ("http://10.10.1.9.evil.example/", PROXY),
        ("http://10.evil.example/", PROXY),
    ],
)
def test_address_goes_its_way(url: str, way: str) -> None:
    assert evaluated("-u", url) == way


@pytest.mark.needs("pactester")
@pytest.mark.parametrize("host", ["2001:db8::10", "[2001:db8::10]", "::1"])
def test_ipv6_address_is_no_name_of_the_towns(host: str) -> None:
    assert evaluated("-u", "https://[2001:db8::10]/", "-h", host) == PROXY


def test_file_that_admin_serves_is_this_one_with_the_towns_own_values() -> None:
    served = pac_file(PacSettings("proxy.town.example:8080", ("town.example",)))

    def code(text: str) -> str:
        return text.partition("\n\n")[2]

    assert code(served) == code(PAC.read_text())


def test_no_name_is_looked_up_and_nothing_falls_back_to_direct() -> None:
    code = re.sub(r"//.*", "", PAC.read_text())
    assert not re.search(r"dnsResolve|isResolvable|myIpAddress|dnsDomainLevels", code)
    assert "; DIRECT" not in code
    # Looked up too, were it given a name.
    assert code.index(".test(host)") < code.index("isInNet(")


def evaluated(*options: str) -> str:
    """Return what FindProxyForURL answers."""
    done = subprocess.run(["pactester", "-p", PAC, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
