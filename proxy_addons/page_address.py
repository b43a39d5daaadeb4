"""The full address of a page that was gone to, as its visit record keeps it."""

from urllib.parse import quote

from mitmproxy import http

from policy.visit_record import LONGEST_ADDRESS
from policy.web_address import address_of_site
from proxy_addons.gate import visible_path
from proxy_addons.judge import Judgement

# Of what a path and a query are made of; all else is percent-encoded.
_AS_IT_IS = "%!$&'()*+,/:;=?@[]~"


def page_address(request: http.Request, judgement: Judgement, *, with_query: bool) -> str:
    """Return the address of a request: by the host that was judged, so without a user's name and password.

    Never with a fragment; cut where it is long.
    """
    visit = judgement.visit
    host = judgement.decision.carried_by or visit.host
    path = request.path.partition("#")[0] if with_query else visible_path(request)
    # As an OPTIONS request has it: "*".
    path = path if path.startswith("/") else "/"
    written = quote(path[:LONGEST_ADDRESS], safe=_AS_IT_IS, errors="surrogateescape")
    return f"{address_of_site(visit.scheme, host, visit.port)}{written}"[:LONGEST_ADDRESS]
