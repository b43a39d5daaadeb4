"""Tickets posted to the help desk's own system, signed as Standard Webhooks says.

`webhook-id` is the letter's name, the same at every try: by it a receiver knows what it has already.
"""

import asyncio
import json
import ssl
from collections.abc import Callable
from datetime import timedelta

from standardwebhooks import Webhook

from admin import stored_requests
from admin.asking import AccessRequest, ForWhom
from admin.clock import Clock
from admin.database import Database
from admin.letters.carrier import CarrierError, NobodyError, PutOffError, RefusedError
from admin.outbox import LetterKind, PutLetter
from admin.settings import Network, WebhookSettings
from admin.web.people import People
from admin.web.words import subject
from categories.fetching import FetchError, post
from policy.town_policy import Policy

_SILENCE = timedelta(seconds=10)
_GONE = 410
_TYPES = {
    LetterKind.TICKET: "access.allowed",
    LetterKind.TICKET_OPENED: "access.allowed",
    LetterKind.TICKET_STOPPED: "access.stopped",
}
_TO_OPEN = "access.to_open"


class WebhookCarrier:
    """Carries tickets by webhook, with the settings and the policy that are in force at that moment."""

    def __init__(
        self,
        db: Database,
        settings: Callable[[], WebhookSettings | None],
        policy: Callable[[], Policy],
        admin_url: str,
        clock: Clock,
        *,
        silence: timedelta = _SILENCE,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._db = db
        self._settings = settings
        self._policy = policy
        self._admin_url = admin_url
        self._clock = clock
        self._silence = silence
        self._trust = trust

    @property
    def is_ready(self) -> bool:
        """Always: without a webhook its letters are nobody's, not kept for one that may come."""
        return True

    @property
    def target(self) -> WebhookSettings | None:
        """The receiver."""
        return self._settings()

    async def carry(self, put: PutLetter) -> None:
        """As Carrier.carry."""
        settings = self._settings()
        if settings is None:
            raise NobodyError("no webhook is set")
        body = json.dumps(await self._payload(put), ensure_ascii=False, separators=(",", ":"))
        now = self._clock()
        message_id = f"msg_{put.message_id}"
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(settings.secret).sign(message_id, now, body),
        }
        try:
            status = await asyncio.to_thread(
                post,
                settings.url,
                body.encode(),
                headers,
                private_hosts=(settings.host,) if settings.network is Network.INTERNAL else (),
                silence=self._silence,
                trust=self._trust,
            )
        except FetchError as error:
            raise CarrierError(str(error).removeprefix(f"{settings.url}: ")) from error
        if status == _GONE:
            raise RefusedError(f"{settings.host} answered 410: it takes no more")
        if not 200 <= status < 300:
            raise PutOffError(f"{settings.host} answered {status}")

    async def _payload(self, put: PutLetter) -> dict[str, object]:
        at = put.put_at.isoformat()
        if put.letter.kind is LetterKind.TEST:
            return {"type": "test", "timestamp": at, "data": {}}
        try:
            request = await stored_requests.get(self._db, int(put.letter.about.removeprefix("REQ-")))
            type_ = _TYPES[put.letter.kind]
        except (LookupError, ValueError) as error:
            # One ticket that cannot be written must not keep all others waiting.
            raise RefusedError(f"{put.letter.about}: cannot be put into words: {error}") from error
        if put.letter.kind is LetterKind.TICKET and request.approved_until is not None:
            type_ = _TO_OPEN
        return {"type": type_, "timestamp": at, "data": self._data(request)}

    def _data(self, request: AccessRequest) -> dict[str, object]:
        people = People(self._policy())
        until = request.expires_at or request.approved_until
        return {
            "request": request.number,
            "url": f"{self._admin_url}/requests/{request.id}",
            "host": request.host or subject(request),
            "path": request.path or None,
            "hosts": list(request.hosts),
            "for": "department" if request.for_whom is ForWhom.DEPARTMENT else "person",
            "person": people.name(request.person),
            "department": people.department(request.department) if request.department else None,
            "category": request.category,
            "reason": request.reason,
            "until": until.isoformat() if until else None,
            "decided_by": people.name(request.decided_by),
            "note": request.note,
            "code": request.code,
        }
