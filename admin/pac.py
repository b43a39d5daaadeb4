"""proxy.pac: how browsers find the proxy, made from the section `pac` of settings.yaml.

pac:
  proxy: proxy.town.example:8080
  direct: [town.example]          # the town's own sites: reached without the proxy
"""

import json
from dataclasses import dataclass
from importlib import resources
from string import Template

from categories.host_name import canonical_host
from policy import notation
from policy.document_value import Value

MEDIA_TYPE = "application/x-ns-proxy-autoconfig"


@dataclass(frozen=True, slots=True)
class PacSettings:
    """The proxy as workstations reach it ("host:port"), and the domains that go around it."""

    proxy: str
    direct: tuple[str, ...] = ()


def read_pac(value: Value) -> PacSettings | None:
    """Read the section; None where it is left out. What is wrong is reported."""
    if not value.is_given:
        return None
    fields = value.fields(required=("proxy",), optional=("direct",))
    direct = fields["direct"].parsed_items(notation.site)
    proxy = fields["proxy"].parsed(_proxy)
    return PacSettings(proxy, tuple(direct)) if proxy else None


def pac_file(settings: PacSettings) -> str:
    """Return the file that browsers load."""
    text = resources.files("admin").joinpath("proxy.pac").read_text("utf-8")
    return Template(text).substitute(
        proxy=json.dumps(f"PROXY {settings.proxy}"), domains=json.dumps(settings.direct)
    )


def _proxy(text: str) -> str:
    host, _, port = text.rpartition(":")
    try:
        return f"{canonical_host(host)}:{notation.port(port)}"
    except ValueError as error:
        raise ValueError(f"{text!r} is not like proxy.town.example:8080") from error
