"""The section `audit` of settings.yaml: where the audit log's heads are kept, beside the database.

audit:
  heads_file: /srv/witness/towngate-heads   # else admin/audit-heads in the state folder
  syslog: tcp://log.town.example:601        # or udp://host:514, or unix:/dev/log
  every: 1m                                 # how often it is looked whether there are new events
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from policy.document_value import Value

_MINUTES = re.compile(r"(\d{1,4})m")
_LONGEST_MINUTES = 24 * 60
_EVERY = timedelta(minutes=1)
_PORTS = {"udp": 514, "tcp": 601}
_OTHERWISE = "write it like unix:/dev/log, udp://log.town.example:514 or tcp://log.town.example:601"


@dataclass(frozen=True, slots=True)
class SyslogTarget:
    """Where syslog messages go: `scheme` is unix, with a path as `host`, or udp or tcp."""

    scheme: str
    host: str
    port: int = 0

    def __str__(self) -> str:
        """Return it as settings have it."""
        if self.scheme == "unix":
            return f"unix:{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """`heads_file` is None for the one in the state folder; `syslog` is None where there is none."""

    heads_file: Path | None = None
    syslog: SyslogTarget | None = None
    every: timedelta = _EVERY


def read_audit(value: Value, folder: Path) -> AuditSettings:
    """Read the section; the file's name is as seen from `folder`. What is wrong is reported."""
    fields = value.fields(optional=("heads_file", "syslog", "every"))
    heads_file = fields["heads_file"].text()
    return AuditSettings(
        heads_file=folder / heads_file if heads_file else None,
        syslog=fields["syslog"].parsed(_target),
        every=fields["every"].parsed(_minutes) or _EVERY,
    )


def _target(text: str) -> SyslogTarget:
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise ValueError(f"{text!r} names no socket by its whole path; {_OTHERWISE}")
        return SyslogTarget("unix", path)
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; {_OTHERWISE}") from error
    if url.scheme not in _PORTS or not host or url.path.strip("/") or "@" in text:
        raise ValueError(f"{text!r} is no place for syslog; {_OTHERWISE}")
    return SyslogTarget(url.scheme, host, port or _PORTS[url.scheme])


def _minutes(text: str) -> timedelta:
    found = _MINUTES.fullmatch(text)
    if not found or not 1 <= int(found[1]) <= _LONGEST_MINUTES:
        raise ValueError(
            f"{text!r} is not a number of minutes from 1m to {_LONGEST_MINUTES}m; write it like 10m"
        )
    return timedelta(minutes=int(found[1]))
