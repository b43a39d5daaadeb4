"""Changes of mitmproxy that a client cannot see."""

import pytest
from mitmproxy import http

from proxy_addons import mitmproxy_changes


def test_making_a_message_does_not_check_the_types_of_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    monkeypatch.setattr("mitmproxy.utils.typecheck.check_option_type", lambda name, *_: checked.append(name))
    mitmproxy_changes.apply(lambda *_: None)

    http.Response.make(200)

    assert checked == []
