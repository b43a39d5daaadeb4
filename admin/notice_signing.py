"""The notice, for the pages: who signs, what they have signed, and the proxy told before it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from admin import notices
from admin.clock import Clock
from admin.database import Database
from admin.notices import Change, KnownBy, NoticeVersion, Receipt
from admin.publisher import Publisher
from admin.sessions import NotAtTheDeviceError, Session
from policy.town_policy import Notice


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person stands with the notice in force.

    `receipt` is None while it was not accepted. `accepted_before` is the version they accepted last,
    when it was another, and `changes` the paragraphs that differ. `may_put_off_until` is None when it
    must be accepted now.
    """

    receipt: Receipt | None
    accepted_before: tuple[Receipt, NoticeVersion] | None
    changes: Sequence[tuple[Change, str]]
    may_put_off_until: datetime | None


class NoticeSigning:
    """A person signs for themselves alone, known by a password or by a device of their own."""

    def __init__(self, db: Database, publisher: Publisher, clock: Clock) -> None:
        self._db = db
        self._publisher = publisher
        self._clock = clock

    @property
    def notice(self) -> Notice | None:
        """The notice in force, None when there is none."""
        return self._publisher.policy.notice

    def signer(self, session: Session | None) -> str | None:
        """Return who would sign in this session, None when that is not sure enough.

        Sure is a password, or a block page's link that was followed in the last 15 minutes at a device
        of the person's own or after a sign-in at the proxy.
        """
        if session is None or not (session.is_signed_in or session.is_at_the_device_at(self._clock())):
            return None
        return session.person

    async def standing(self, person: str) -> Standing:
        """Say where a person stands with the notice in force. Raises LookupError when there is none."""
        notice = self.notice
        if notice is None:
            raise LookupError("no notice is in force")
        last = await notices.accepted_last(self._db, person)
        before = last if last is not None and last[0].version != notice.version else None
        return Standing(
            receipt=await notices.receipt_of(self._db, person, notice.version),
            accepted_before=before,
            changes=notices.changes(before[1].text, notice.text) if before is not None else (),
            may_put_off_until=notices.put_off_until(self._publisher.policy, self._clock()),
        )

    async def sign(self, session: Session, version: str) -> Receipt:
        """As notices.accept; when it returns, the proxy can read it.

        Raises NotAtTheDeviceError when it is not sure who signs, OtherVersionError.
        """
        person = self._sure(session)
        receipt = await notices.accept(
            self._db, self._publisher.policy, person, version, _known_by(session), self._clock()
        )
        await self._publisher.publish_state()
        return receipt

    async def put_off(self, session: Session, version: str) -> datetime:
        """As notices.put_off; when it returns, the proxy can read it. Raises as `sign` does, too."""
        person = self._sure(session)
        until = await notices.put_off(self._db, self._publisher.policy, person, version, self._clock())
        await self._publisher.publish_state()
        return until

    def _sure(self, session: Session) -> str:
        person = self.signer(session)
        if person is None:
            raise NotAtTheDeviceError("nobody knows who signs: no password, and no link followed lately")
        return person


def _known_by(session: Session) -> KnownBy:
    if session.is_signed_in:
        return KnownBy.SIGNED_IN
    return KnownBy.OWN_DEVICE if session.device is not None else KnownBy.PROXY_SIGN_IN
