"""A name of mitmproxy's in place of which another is put."""

from collections.abc import Callable


def original[F: Callable[..., object]](method: F) -> F:
    """Return mitmproxy's own method, also when changes have been applied before (in tests)."""
    own: F = getattr(method, "mitmproxys_own", method)
    return own


def replace(owner: object, name: str, method: Callable[..., object], of_mitmproxy: object) -> None:
    """Put a method in the place of mitmproxy's own, which `original` goes on to return."""
    vars(method)["mitmproxys_own"] = of_mitmproxy
    setattr(owner, name, method)
