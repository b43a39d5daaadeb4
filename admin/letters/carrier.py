"""What a carrier of letters does, and the three ways in which it may not."""

from typing import Protocol

from admin.outbox import PutLetter


class CarrierError(Exception):
    """The carrier took nothing: its server is away or does not let us in. All letters wait."""


class PutOffError(Exception):
    """This letter was not taken, or nobody knows whether it was; it is tried again."""


class RefusedError(Exception):
    """This letter will never be taken."""


class NobodyError(Exception):
    """There is no one to carry the letter to, or it tells what is no longer so."""


class Carrier(Protocol):
    """Carries letters of one channel."""

    @property
    def is_ready(self) -> bool:
        """Whether it can be tried; letters wait while it cannot."""

    @property
    def target(self) -> object:
        """What it is set to; when that changes, it is tried at once."""

    async def carry(self, put: PutLetter) -> None:
        """Carry a letter; when it returns, the letter is with its server.

        Raises CarrierError, PutOffError, RefusedError or NobodyError.
        """
