"""What these tests need of the machine."""

import subprocess

import pytest

from tests.evasion.outside import become_root
from tests.missing_parts import require


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skip the tests that need namespaces where none can be made."""
    require("unshare", "ip")
    if subprocess.run(["unshare", *become_root(), "--net", "--mount", "true"], check=False).returncode:
        pytest.skip("needs root, or user namespaces: the outside world is made in namespaces")
