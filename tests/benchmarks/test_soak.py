"""The soak benchmark itself: every part runs, and a leak would be seen."""

import pytest

from tests.benchmarks.soak import main, slope_of


def test_every_part_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("TOWNGATE_TEST_DATA", raising=False)
    main(
        [
            "--requests",
            "40",
            "--idle",
            "40",
            "--tunnels",
            "40",
            "--web-sockets",
            "4",
            "--messages",
            "20",
            "--download",
            "65536",
            "--upload",
            "1500000",
        ]
    )
    printed = capsys.readouterr().out
    for part in (
        "requests on decrypted connections",
        "messages of WebSockets",
        "tunnels: ",
        "tunnels that stay open, and idle: ",
        "download of",
        "upload of",
    ):
        assert f"\n{part}" in printed
    for way in ("through a tunnel", "over plain HTTP", "over a decrypted connection"):
        for reader in ("a reader as fast as it goes", "a reader slower than the rest"):
            assert printed.count(f"{way}, {reader}: ") == 2


def test_what_stays_behind_is_told_from_noise() -> None:
    done = list(range(0, 20_000, 1000))
    noise = [(-1) ** number * 4096 for number in range(20)]
    leaking = slope_of("leaks", done, [50_000_000 + 100 * d + n for d, n in zip(done, noise, strict=True)])
    flat = slope_of("flat", done, [50_000_000 + n for n in noise])
    assert leaking.bytes_each == pytest.approx(100, abs=1)
    assert leaking.bytes_each > 10 * leaking.error
    assert abs(flat.bytes_each) < 2 * flat.error
