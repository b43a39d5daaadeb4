"""Letters as mail: words, message and address, handed to the town's mail server."""

import sqlite3
import ssl
from collections.abc import Callable
from email.headerregistry import Address

from admin import outbox
from admin.clock import Clock
from admin.database import Database, DatabaseError
from admin.letters.carrier import CarrierError, NobodyError, PutOffError, RefusedError
from admin.letters.composing import compose
from admin.letters.mail_server import Patience, hand_over
from admin.letters.parts import OutdatedLetterError, Town
from admin.letters.wording import words_of
from admin.outbox import HELP_DESK, PutLetter
from admin.settings import MailSettings
from policy.town_policy import Policy


class MailCarrier:
    """Carries letters by mail, with the settings and the policy that are in force at that moment."""

    def __init__(
        self,
        db: Database,
        settings: Callable[[], MailSettings | None],
        policy: Callable[[], Policy],
        admin_url: str,
        clock: Clock,
        *,
        patience: Patience | None = None,
        trust: ssl.SSLContext | None = None,
        reset_key: bytes | None = None,
    ) -> None:
        self._db = db
        self._settings = settings
        self._policy = policy
        self._admin_url = admin_url
        self._clock = clock
        self._patience = patience
        self._trust = trust
        self._reset_key = reset_key

    @property
    def is_ready(self) -> bool:
        """Whether there is a server."""
        return self._settings() is not None

    @property
    def target(self) -> MailSettings | None:
        """The server."""
        return self._settings()

    async def carry(self, put: PutLetter) -> None:
        """As Carrier.carry."""
        settings, policy = self._settings(), self._policy()
        if settings is None:
            raise CarrierError("no mail server is set")
        to = _address_of(put.letter.to, policy)
        earlier = await outbox.earlier_in_thread(self._db, put)
        try:
            words = await words_of(put, self._db, Town(policy, self._clock(), self._reset_key))
            message = compose(
                put,
                words,
                sender=settings.sender,
                to=to,
                earlier=earlier,
                admin_url=self._admin_url,
                town=policy.town,
            )
        except OutdatedLetterError as error:
            raise NobodyError(str(error)) from error
        except (sqlite3.Error, DatabaseError) as error:
            # As a month of the visit log that is damaged: other letters do not need it.
            raise PutOffError(f"{put.letter.about}: what it tells cannot be read: {error}") from error
        except (LookupError, ValueError) as error:
            # One letter that cannot be written must not keep all others waiting.
            raise RefusedError(f"{put.letter.about}: cannot be put into words: {error}") from error
        await hand_over(message, settings, patience=self._patience, trust=self._trust)


def _address_of(recipient: str, policy: Policy) -> Address:
    if recipient == HELP_DESK:
        name, address = "Help desk", policy.town.help_desk_email
    else:
        person = policy.people.get(recipient)
        if person is None:
            raise NobodyError(f"{recipient} has left the policy")
        name, address = person.name, person.mail
    if not address:
        raise NobodyError(f"{recipient} has no mail address in the policy")
    try:
        address.encode("ascii")
        return Address(display_name=name, addr_spec=address)
    except ValueError as error:
        raise RefusedError(f"{address!r} is not an address that every mail server takes") from error
