"""The audit log's heads: kept in a file and sent as syslog, to a real rsyslog too."""

import asyncio
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from admin import audit
from admin.audit import Damage
from admin.audit_heads import AuditHeads, as_line, read_heads
from admin.audit_settings import AuditSettings, SyslogTarget
from admin.database import Database
from admin.settings import read_settings
from policy.problem import PolicyError
from tests.admin.small_town import MONDAY
from tests.admin.test_audit import record_three, tamper
from tests.missing_parts import require
from tests.running_town import free_ports


def exporting(db: Database, tmp_path: Path, **settings: object) -> AuditHeads:
    made = AuditSettings(**settings)  # type: ignore[arg-type]
    return AuditHeads(db, lambda: made, tmp_path / "heads", lambda: MONDAY)


async def test_a_head_is_appended_when_there_are_new_events_and_only_then(
    db: Database, tmp_path: Path
) -> None:
    heads = exporting(db, tmp_path)
    await heads.export()
    assert not heads.file.exists()
    await record_three(db)
    await heads.export()
    await heads.export()
    await record_three(db)
    await heads.export()
    kept = read_heads(heads.file)
    assert [(head.events, head.last_id, head.at) for head in kept] == [(3, 3, MONDAY), (6, 6, MONDAY)]
    assert (await audit.verify(db, kept)).is_whole
    assert heads.troubles == ()


async def test_a_start_keeps_the_present_head_and_compares_with_the_one_kept_last(
    db: Database, tmp_path: Path
) -> None:
    await record_three(db)
    await exporting(db, tmp_path).export()
    again = exporting(db, tmp_path)
    await again.export()
    assert len(read_heads(again.file)) == 2
    tamper(db, "DELETE FROM event WHERE id = 3")
    after = exporting(db, tmp_path)
    await after.export()
    assert "Record 3, which was there at 2026-03-02 15:00 UTC, was changed or removed" in after.troubles[0]
    assert (await audit.verify(db, read_heads(after.file))).damage is Damage.CUT_OFF


async def test_a_tail_cut_off_while_admin_runs_is_said_until_it_starts_again(
    db: Database, tmp_path: Path
) -> None:
    heads = exporting(db, tmp_path)
    await record_three(db)
    await heads.export()
    tamper(db, "DELETE FROM event WHERE id > 1")
    await record_three(db)
    for _ in range(2):
        await heads.export()
        assert "Record 3" in heads.troubles[0]


async def test_a_place_that_takes_nothing_is_said_and_tried_again(db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "away"
    heads = exporting(
        db,
        tmp_path,
        heads_file=folder / "heads",
        syslog=SyslogTarget("unix", str(tmp_path / "no-socket")),
    )
    await record_three(db)
    await heads.export()
    assert [trouble.partition(": ")[2] for trouble in heads.troubles] == [
        f"{folder / 'heads'}: No such file or directory",
        f"unix:{tmp_path / 'no-socket'}: No such file or directory",
    ]
    folder.mkdir()
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(str(tmp_path / "no-socket"))
        await heads.export()
        assert heads.troubles == ()
        (head,) = read_heads(folder / "heads")
        data = listening.recv(2048).decode()
    assert data.startswith("<110>1 2026-03-02T15:00:00.000Z ")
    assert data.endswith(f" audit-head - {as_line(head)}")


CONFIGURATION = """\
module(load="imudp") input(type="imudp" address="127.0.0.1" port="{udp}")
module(load="imtcp" SupportOctetCountedFraming="on") input(type="imtcp" address="127.0.0.1" port="{tcp}")
module(load="imuxsock" SysSock.Use="off") input(type="imuxsock" Socket="{unix}" UseSpecialParser="off")
template(name="all" type="string" string="%procid% %app-name% %msgid% %syslogfacility% %msg%\\n")
action(type="omfile" file="{log}" template="all")
"""


@pytest.fixture
def rsyslog(tmp_path: Path) -> Iterator[tuple[list[SyslogTarget], Path]]:
    """Run a syslog server of its own on loopback; yield where it listens and its log."""
    require("rsyslogd")
    ports = free_ports(2)
    unix, log, conf = tmp_path / "log.sock", tmp_path / "syslog", tmp_path / "rsyslog.conf"
    conf.write_text(CONFIGURATION.format(udp=ports[0], tcp=ports[1], unix=unix, log=log))
    pid = tmp_path / "rsyslog.pid"
    server = subprocess.Popen(
        ["rsyslogd", "-n", "-f", str(conf), "-i", str(pid)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        _until(lambda: unix.exists() and _listens(ports[1]))
        yield (
            [
                SyslogTarget("unix", str(unix)),
                SyslogTarget("udp", "127.0.0.1", ports[0]),
                SyslogTarget("tcp", "127.0.0.1", ports[1]),
            ],
            log,
        )
    finally:
        server.terminate()
        server.communicate(timeout=60)


async def test_rsyslog_takes_heads_by_socket_udp_and_tcp_and_its_log_verifies(
    db: Database, tmp_path: Path, rsyslog: tuple[list[SyslogTarget], Path]
) -> None:
    targets, log = rsyslog
    for target in targets:
        await record_three(db)
        heads = exporting(db, tmp_path, syslog=target)
        await heads.export()
        assert heads.troubles == ()
    await asyncio.to_thread(_until, lambda: log.exists() and log.read_text().count("audit-head at=") == 3)
    assert sorted(head.events for head in read_heads(log)) == [3, 6, 9]
    assert (await audit.verify(db, read_heads(log))).is_whole
    for line in log.read_text().splitlines():
        assert line.split()[1:5] == ["towngate", "audit-head", "13", "audit-head"], line
    tamper(db, "DELETE FROM event WHERE id = 9")
    assert (await audit.verify(db, read_heads(log))).damage is Damage.CUT_OFF


def test_settings_say_where_heads_go(tmp_path: Path) -> None:
    text = "audit: {heads_file: witness, syslog: 'udp://[::1]', every: 10m}"
    audit_settings = read_settings(text, tmp_path).audit
    assert audit_settings == AuditSettings(
        tmp_path / "witness", SyslogTarget("udp", "::1", 514), timedelta(minutes=10)
    )
    assert str(audit_settings.syslog) == "udp://[::1]:514"
    assert str(read_settings("audit: {syslog: 'unix:/dev/log'}", tmp_path).audit.syslog) == "unix:/dev/log"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{syslog: 'unix:log'}", "names no socket by its whole path"),
        ("{syslog: 'http://log.example'}", "is no place for syslog"),
        ("{syslog: 'tcp://log.example:99999'}", "Port out of range"),
        ("{every: 0m}", "is not a number of minutes"),
        ("{sylog: x}", "'sylog' is not a key here (nearest: 'syslog')"),
    ],
)
def test_what_settings_say_wrongly_is_reported(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(PolicyError, match="line 1: audit") as raised:
        read_settings(f"audit: {written}", tmp_path)
    assert said in str(raised.value)


def _listens(port: int) -> bool:
    with closing(socket.socket()) as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _until(holds: Callable[[], bool]) -> None:
    give_up = threading.Event()
    timer = threading.Timer(60, give_up.set)
    timer.start()
    try:
        while not holds():
            assert not give_up.is_set(), "rsyslogd does not get there"
            time.sleep(0.02)
    finally:
        timer.cancel()
