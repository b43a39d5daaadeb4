"""A machine that runs deploy/systemd's units for real: systemd as the first process of namespaces.

Its root is this machine's, under an overlay that is thrown away; its network, processes and users'
files are its own. `towngate` there runs this checkout, /opt/checkout, with this interpreter.
"""

import contextlib
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.missing_parts import require, require_root

ROOT = Path(__file__).parents[2]
STATE = Path("/var/lib/towngate")
TOWNGATE = "/opt/towngate/bin/towngate"

_SYSTEMD = Path("/lib/systemd/systemd")
_BOOT_SECONDS = 90.0

# 1. an overlay over this machine's root, its changes in memory, none of its own units enabled
# 2. Python, its packages and the checkout where no home folder is in the way (ProtectHome)
# 3. systemd
_SCRIPT = r"""
set -eu
new=$FOLDER/root
mount --make-rprivate /
mount -t tmpfs tmpfs "$FOLDER"
mkdir "$FOLDER/changes" "$FOLDER/work" "$new"
mount -t overlay overlay -o "lowerdir=/,upperdir=$FOLDER/changes,workdir=$FOLDER/work" "$new"
mount -t proc proc "$new/proc"
mount -t sysfs -o ro sysfs "$new/sys" # so that no udev sets about this machine's devices
mount -t tmpfs -o mode=755 tmpfs "$new/dev"
mkdir "$new/dev/shm" "$new/dev/pts"
for device in null zero full random urandom tty; do cp -a "/dev/$device" "$new/dev/"; done
ln -s pts/ptmx "$new/dev/ptmx"
mount -t tmpfs -o mode=755 tmpfs "$new/run"
mount -t tmpfs tmpfs "$new/tmp"
mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
rm -rf "$new/etc/systemd/system" "$new/var/lib/towngate" "$new/var/log/journal"
mkdir "$new/etc/systemd/system"

mount -t tmpfs tmpfs "$new/opt"
mkdir -p "$new/opt/python" "$new/opt/packages" "$new/opt/checkout" "$new/opt/towngate/bin"
mount --bind "$PYTHON" "$new/opt/python"
mount --bind "$PACKAGES" "$new/opt/packages"
mount --bind "$CHECKOUT" "$new/opt/checkout"
cat > "$new$TOWNGATE" <<program
#!/bin/sh
export PYTHONHOME=/opt/python PYTHONPATH=/opt/checkout:/opt/packages LD_LIBRARY_PATH=/opt/python/lib
exec /opt/python/bin/python$VERSION -m admin.command "\$@"
program
chmod 755 "$new$TOWNGATE"
ln -s "$TOWNGATE" "$new/usr/local/bin/"
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\n' > "$new/etc/systemd/system/default.target"

ip link set lo up
cd "$new"
mkdir -p old-root
pivot_root . old-root
umount -l /old-root
mount --make-rshared / # what systemd does itself, except in a container
exec env -i container=towngate-tests PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    "$SYSTEMD" --log-target=console --log-level=warning --show-status=no < /dev/null
"""


class Machine:
    """A booted machine."""

    def __init__(self, first_process: int) -> None:
        self._first_process = first_process

    def run(self, *words: str | Path, user: str | None = None, stdin: str = "") -> tuple[int, str]:
        """Run a command there, as root or another user; return its exit code and all it wrote."""
        as_user = ("runuser", "-u", user, "--") if user else ()
        done = subprocess.run(
            ("nsenter", f"--target={self._first_process}", "--all", "--", *as_user, *words),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            check=False,
        )
        return done.returncode, done.stdout

    def must(self, *words: str | Path, user: str | None = None, stdin: str = "") -> str:
        """Run a command that must succeed; return what it wrote."""
        code, output = self.run(*words, user=user, stdin=stdin)
        assert code == 0, f"{words}: {output}"
        return output

    def journal(self, unit: str) -> str:
        """Return what a unit has logged."""
        return self.must("journalctl", "--no-pager", "--output=cat", "--unit", unit)

    def wait_for(self, unit: str, says: str) -> None:
        """Wait until the journal of a unit has a line with this text."""
        until = time.monotonic() + _BOOT_SECONDS
        while says not in (journal := self.journal(unit)):
            assert time.monotonic() < until, f"{unit} does not say {says!r}:\n{journal}"
            time.sleep(0.2)


@contextmanager
def booted_machine(folder: Path) -> Iterator[Machine]:
    """Boot a machine that has the program and nothing else of Towngate's, until the block ends."""
    require("nsenter", "unshare", "runuser", "journalctl")
    require_root("boots systemd in namespaces")
    cgroup = _own_cgroup()
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "FOLDER": str(folder),
        "CHECKOUT": str(ROOT),
        "PYTHON": sys.base_prefix,
        "PACKAGES": sysconfig.get_path("purelib"),
        "VERSION": sysconfig.get_python_version(),
        "SYSTEMD": str(_SYSTEMD),
        "TOWNGATE": TOWNGATE,
    }
    with (folder / "console.log").open("w+") as console:
        process = subprocess.Popen(
            [
                # In its cgroup before that becomes the root of all it sees.
                *("sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"', str(cgroup)),
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net"),
                *("--cgroup", "sh", "-c", _SCRIPT),
            ],
            env=environment,
            stdout=console,
            stderr=console,
        )
        try:
            yield _wait_until_up(process, folder / "console.log")
        finally:
            process.kill()
            process.wait()
            _remove_cgroup(cgroup)


def _wait_until_up(process: subprocess.Popen[bytes], console: Path) -> Machine:
    until = time.monotonic() + _BOOT_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, f"the machine did not boot:\n{console.read_text()}"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children:
            machine = Machine(int(children[0]))
            if machine.run("systemctl", "is-active", "default.target")[0] == 0:
                return machine
        time.sleep(0.1)
    raise AssertionError(f"the machine did not boot in time:\n{console.read_text()}")


def _own_cgroup() -> Path:
    """Make a cgroup for the machine; skip the test where that is not allowed."""
    if not _SYSTEMD.exists():
        pytest.skip("needs systemd: make test-setup installs it")
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    mounted = next((Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"), None)
    if mounted is None:
        pytest.skip("needs a cgroup2 file system, which this machine has not mounted")
    cgroup = mounted / f"towngate-tests-{os.getpid()}"
    try:
        cgroup.mkdir()
    except OSError as error:
        pytest.skip(f"needs a cgroup of its own, which this machine refuses: {error.strerror}")
    return cgroup


def _remove_cgroup(cgroup: Path) -> None:
    for folder, _, _ in os.walk(cgroup, topdown=False):
        # The last process in it may still be ending.
        for _ in range(50):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
                break
            time.sleep(0.1)
