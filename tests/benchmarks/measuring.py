"""CPU seconds and memory of a proxy: of its process and every process that it started (Linux)."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
# What closing the last connections costs belongs to them too.
_SETTLE_SECONDS = 0.3
_RESET_PEAK = "5"


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one piece of work cost a proxy. Memory is resident, mapped files included.

    `seconds_each` is how long each part of the work took its client, where it says so.
    """

    cpu_seconds: float
    wall_seconds: float
    memory_before_bytes: int
    memory_peak_bytes: int
    seconds_each: tuple[float, ...] = ()


def measure(pid: int, work: Callable[[], Sequence[float] | None]) -> Measurement:
    """Do the work and say what it cost the process `pid` and its children.

    The peak of each process is the kernel's own (VmHWM), set back before the work; the sum of
    several is at least what they had together.
    """
    for process in _family(pid):
        (process / "clear_refs").write_text(_RESET_PEAK)
    memory_before = _memory_bytes(pid, "VmRSS")
    cpu_before = _cpu_seconds(pid)
    started = time.perf_counter()
    seconds_each = work() or ()
    wall = time.perf_counter() - started
    time.sleep(_SETTLE_SECONDS)
    cpu = _cpu_seconds(pid) - cpu_before
    return Measurement(cpu, wall, memory_before, _memory_bytes(pid, "VmHWM"), tuple(seconds_each))


def resident_bytes(pid: int) -> int:
    """Return what the process `pid` and its children hold in memory now, mapped files left out."""
    return _memory_bytes(pid, "RssAnon")


def proportional_bytes(pid: int) -> int:
    """Return what the process `pid` and its children hold; what several share is counted once (PSS)."""
    total = 0
    for process in _family(pid):
        lines = (process / "smaps_rollup").read_text().splitlines()
        total += int(next(line.split()[1] for line in lines if line.startswith("Pss:"))) * 1024
    return total


def _family(pid: int) -> Iterator[Path]:
    process = _PROC / str(pid)
    yield process
    for thread in (process / "task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _family(int(child))


def _cpu_seconds(pid: int) -> float:
    ticks = 0
    for process in _family(pid):
        # The name, in parentheses, may hold anything; user and system time, then those of
        # children that have ended, are fields 14 to 17 (proc_pid_stat(5)).
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICKS


def _memory_bytes(pid: int, field: str) -> int:
    total = 0
    for process in _family(pid):
        lines = (process / "status").read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith(f"{field}:"))
        total += int(kilobytes) * 1024
    return total
