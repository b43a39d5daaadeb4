"""Renewing: asking for the same again, as long as it was asked for, through its chain as it is now.

What a form asks for is asked for as by that form: whoever may send it renews what came of it.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta

from admin.account_requests import InternetAccounts
from admin.asked import AccountUse, DeviceUse, SocialMediaUse, StandingUse
from admin.asking import AccessRequest
from admin.clock import Clock
from admin.device_requests import DeviceRequests
from admin.session_requests import SessionRequests
from admin.sessions import Session
from admin.social_media import SocialMediaUses
from admin.standing_permissions import StandingPermissions
from policy.town_policy import AccountTerms, OwnDevice, Policy, SocialMedia, StandingPermission
from policy.town_time import zone_of

type _Terms = OwnDevice | StandingPermission | AccountTerms | SocialMedia


class Renewals:
    """What a session renews. `policy` returns the running one."""

    def __init__(
        self,
        policy: Callable[[], Policy],
        requests: SessionRequests,
        devices: DeviceRequests,
        standing: StandingPermissions,
        accounts: InternetAccounts,
        social_media: SocialMediaUses,
        clock: Clock,
    ) -> None:
        self._policy = policy
        self._requests = requests
        self._devices = devices
        self._standing = standing
        self._accounts = accounts
        self._social_media = social_media
        self._clock = clock

    async def renew(self, session: Session, id_: int) -> AccessRequest:
        """Ask for the same again.

        Raises UnknownRequestError, NotAllowedError, TransitionError where it gave no access, all recorded;
        InvalidRequestError, AlreadyOpenError.
        """
        request = await self._requests.to_renew(session, id_)
        terms = self._policy().asking
        match request.asked:
            case DeviceUse() as device:
                return await self._devices.ask(
                    session,
                    name=device.name,
                    address=device.address,
                    last=self._last(request, device.until, terms.own_device),
                    reason=request.reason,
                    renews=id_,
                )
            case StandingUse() as use:
                return await self._standing.ask(
                    session,
                    department=request.department or "",
                    site=request.host,
                    categories=use.categories,
                    case_number=use.case_number,
                    last=self._last(request, use.until, terms.standing_permission),
                    reason=request.reason,
                    renews=id_,
                )
            case AccountUse() as use:
                return await self._accounts.ask(
                    session,
                    person=request.person,
                    employer=use.employer,
                    sponsor=use.sponsor,
                    last=self._last(request, use.until, terms.internet_account),
                    reason=request.reason,
                    renews=id_,
                )
            case SocialMediaUse() as use:
                return await self._social_media.propose(
                    session,
                    person=request.person,
                    sites=(request.host, *request.hosts),
                    level=use.level,
                    authorisations=use.authorisations,
                    last=self._last(request, use.until, terms.social_media),
                    reason=request.reason,
                    renews=id_,
                )
            case _:
                return await self._requests.renew(session, request)

    def _last(self, request: AccessRequest, until: datetime, terms: _Terms | None) -> date:
        """Return the last day that is as far from today as it was when it was asked for, or may be now."""
        zone = zone_of(self._policy())
        # It ends with its last day, at the midnight after it.
        last = (until.astimezone(zone) - timedelta(days=1)).date()
        length = last - request.submitted_at.astimezone(zone).date()
        longest = terms.longest if terms is not None else length
        return self._clock().astimezone(zone).date() + min(length, longest)
