"""What a person went to, told apart from what a page pulls in by itself."""

from mitmproxy import http

from proxy_addons.page_html import is_said_to_be_document


def is_gone_to(request: http.Request) -> bool:
    """Whether a request is for a page that was gone to: by its fields, which any program may write.

    Browsers say so to sites they trust (Fetch Metadata); to others the fields say what would be shown:
    a page is asked for as HTML, and what it pulls in names the page in Referer.
    """
    fields = request.headers
    if fields.get("Sec-Purpose", "").startswith("prefetch"):
        return False
    destination = fields.get("Sec-Fetch-Dest")
    if destination is not None:
        return is_said_to_be_document(destination) and fields.get("Sec-Fetch-Mode", "navigate") == "navigate"
    return "text/html" in fields.get("Accept", "") or "Referer" not in fields
