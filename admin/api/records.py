"""The audit log by time, role and kind; whether it is whole."""

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import urlencode

from pydantic import AwareDatetime, BaseModel, Field

from admin.acting_roles import ROLES
from admin.api.operation import Call, Listed, Nothing, Query
from admin.asking import UnknownRequestError
from admin.audit import Damage, EventKind
from admin.records import KINDS, RecordFilter
from admin.web.people import People
from admin.web.record_facts import facts
from admin.web.record_words import ROLE_LABELS, WHAT, said
from admin.web.words import Times, plain


class Fact(BaseModel):
    """What else a record tells, in words."""

    label: str
    text: str


class Record(BaseModel):
    """What somebody decided or did. Who it was is told by role."""

    id: int
    at: datetime
    kind: EventKind
    what: str
    who: str
    subject: str | None = Field(description="What it is about; null where that is a person.")
    about: str | None = Field(description="Whom it is about, by role.")
    facts: list[Fact]


class Verified(BaseModel):
    """What a verification found."""

    at: datetime
    events: int
    is_whole: bool
    broken_at: int | None = Field(description="The first record that was changed or removed.")
    damage: Damage | None
    compared_with: int = Field(
        description="How many copies of the newest digest, kept elsewhere, were there."
    )
    guards_missing: list[str] = Field(
        description="What refuses changes in the database and is not there as it was made."
    )
    call: str = Field(description="Whom to call where it is not whole.")


def _one_of(words: Iterable[str]) -> str:
    return f"^({'|'.join(words)})$"


class WhichRecords(Query):
    """Each condition that is given holds."""

    since: AwareDatetime | None = None
    role: str | None = Field(None, pattern=_one_of(ROLES))
    kinds: str | None = Field(None, pattern=_one_of(KINDS))
    before: int | None = Field(None, description="From the `next` of the page before.", ge=0, lt=10**15)
    limit: int = Field(50, ge=1, le=200)


async def list_records(call: Call[WhichRecords, Nothing]) -> Listed[Record]:
    """List records, newest first."""
    admin, query = call.admin, call.query
    where = RecordFilter(query.since, query.role, query.kinds)
    found = await admin.records.find(call.session, where, query.before, query.limit + 1)
    rows, more = found[: query.limit], found[query.limit :]
    people, times = People(admin.policy), Times(admin.zone, admin.now())
    items = [
        Record(
            id=row.id,
            at=row.at,
            kind=row.kind,
            what=WHAT[row.kind],
            who=said(row.who, people),
            subject=None if row.about else row.subject,
            about=said(row.about, people) if row.about else None,
            facts=[Fact(label=name, text=plain(text)) for name, text in facts(row.details, people, times)],
        )
        for row in rows
    ]
    following = None
    if more:
        given = query.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        following = f"/api/v1/records?{urlencode({**given, 'before': rows[-1].id})}"
    return Listed[Record](items=items, next=following)


async def verify_records(call: Call[Nothing, Nothing]) -> Verified:
    """Verify the whole log, against the copies of its newest digest that are kept elsewhere."""
    records = call.admin.records
    await records.verify(call.session)
    verified = records.verified(call.session)
    if verified is None:
        raise UnknownRequestError("the log was not verified")
    found = verified.found
    return Verified(
        at=verified.at,
        events=found.events,
        is_whole=found.is_whole,
        broken_at=found.broken_at,
        damage=found.damage,
        compared_with=found.against,
        guards_missing=list(found.guards_missing),
        call=ROLE_LABELS[records.whom_to_call(call.session)],
    )
