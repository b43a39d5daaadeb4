"""The benchmark itself: every load runs through every proxy, and what is measured is what was used."""

import json
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.__main__ import main
from tests.benchmarks.client import Target, WrongAnswerError, get_plain, get_through_tunnel
from tests.benchmarks.filters import e2guardian, squid_with_squidguard
from tests.benchmarks.listed_names import STOPPED
from tests.benchmarks.loads import Scale, loads
from tests.benchmarks.measuring import measure
from tests.benchmarks.origin import running_origin

_MIB = 1 << 20
_TINY = Scale(connections=20, requests=20, pages=5, download_bytes=_MIB, listed_names=100)

_CHILD = """
import time
held = b"." * (64 << 20)
began_at = time.process_time()
input("ready\\n")
sum(range(3_000_000))
print(time.process_time() - began_at, flush=True)
"""
_PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {_CHILD!r}])
input("child has ended\\n")
"""


@pytest.mark.needs("squid", "squidGuard", "e2guardian")
def test_every_load_runs_through_every_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The starter list is enough, and is published in no time.
    monkeypatch.delenv("TOWNGATE_TEST_DATA", raising=False)

    main(["--rounds", "1", "--json", str(tmp_path / "figures.json")], _TINY)

    figures = json.loads((tmp_path / "figures.json").read_text())
    measured = {name: set(load["rounds"]) for name, load in figures["loads"].items()}
    every = {"towngate", "mitmdump", "squid"}
    # Those that filter tunnel; one page for all that is blocked is nothing to compare with.
    filters = {"squidGuard", "e2guardian"}
    tunnelled = dict.fromkeys(("tunnel", "tunnel-download"), every | filters)
    assert measured == {load.name: every for load in loads(_TINY)} | tunnelled | {"blocked": {"towngate"}}
    printed = capsys.readouterr().out
    assert "entries of starter" in printed
    for load in loads(_TINY):
        assert f"| {load.name} " in printed
        assert load.about in printed


@pytest.mark.needs("squid", "squidGuard", "e2guardian")
@pytest.mark.parametrize("start", [squid_with_squidguard, e2guardian])
def test_peers_that_filter_do_stop_what_their_list_has(start: Callable[..., Any], tmp_path: Path) -> None:
    with running_origin(tmp_path) as origin:
        own = tmp_path / "own"
        own.mkdir()
        with start(own, origin, 100) as proxy:
            tls = ssl.create_default_context(cafile=origin.ca_certificate)
            get_through_tunnel(proxy.port, proxy.https[0], tls, "/bytes/10")
            stopped = Target(STOPPED, origin.https_port, STOPPED)
            with pytest.raises((WrongAnswerError, OSError)):
                get_through_tunnel(proxy.port, stopped, tls, "/bytes/10")


def test_one_load_can_be_run_by_itself_and_without_the_peers_from_debian(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TOWNGATE_TEST_DATA", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = ["--only", "plain-download", "--size", "64KiB", "--rounds", "2"]

    main([*arguments, "--json", str(tmp_path / "figures.json")], _TINY)

    (load,) = json.loads((tmp_path / "figures.json").read_text())["loads"].values()
    assert load["amount"] == 64 << 10
    assert {name: len(rounds) for name, rounds in load["rounds"].items()} == {
        "towngate": 2,
        "mitmdump": 2,
    }
    said = capsys.readouterr()
    assert "one download of 64 KiB over plain HTTP" in said.out
    assert "squid and squidGuard is not installed: a peer less" in said.err


def test_size_must_have_a_unit(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--size", "2000"])

    assert "'2000' is not a size like 512MiB or 2GiB" in capsys.readouterr().err


def test_child_of_a_proxy_is_measured_while_it_runs_and_after_its_end() -> None:
    with _python(_PARENT) as parent:
        assert _line_of(parent) == "ready"
        used_seconds = []

        def work() -> None:
            _send_line_to(parent)
            used_seconds.append(float(_line_of(parent)))
            assert _line_of(parent) == "child has ended"

        done = measure(parent.pid, work)
        _send_line_to(parent)

    assert done.memory_before_bytes > 64 * _MIB
    # The kernel tells whole hundredths.
    assert done.cpu_seconds >= used_seconds[0] - 0.02


def test_peak_of_earlier_work_is_not_counted_again() -> None:
    with _python('len(b"." * (64 << 20)); input("ready\\n")') as process:
        assert _line_of(process) == "ready"

        done = measure(process.pid, lambda: None)
        _send_line_to(process)

    assert done.memory_peak_bytes < 64 * _MIB


def test_answer_that_is_wrong_ends_the_run(tmp_path: Path) -> None:
    with running_origin(tmp_path) as origin:
        target = [Target("127.0.0.1", origin.http_port, "site-0.bench.example")]
        get_plain(origin.http_port, target, "/bytes/10")

        with pytest.raises(WrongAnswerError, match=r"not a 200: .* 404 Not Found"):
            get_plain(origin.http_port, target, "/no-such-page")


def _python(program: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-c", program]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip()


def _send_line_to(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
