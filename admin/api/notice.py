"""The notice that people accept by name. Signing it is done in person, on its page."""

from datetime import datetime

from pydantic import BaseModel, Field

from admin import notices
from admin.api.operation import Call, Nothing
from admin.notices import Change, KnownBy


class Changed(BaseModel):
    """A paragraph that is new since you accepted an earlier text, or is gone."""

    what: Change
    paragraph: str


class NoticeText(BaseModel):
    """What people accept by name before they use the web."""

    version: str
    title: str
    paragraphs: list[str]
    law: str
    required_at: datetime | None = Field(
        description="From then on the web opens only to who accepted it; null: that is so already."
    )


class Notice(BaseModel):
    """The notice in force, and where you stand with it."""

    notice: NoticeText | None = Field(description="Null where the policy has none.")
    accepted_at: datetime | None = Field(description="Null while you have not.")
    known_by: KnownBy | None = Field(description="How it was known that it was you.")
    may_be_put_off_until: datetime | None
    changes: list[Changed] = Field(description="Since the text that you accepted last.")


async def read_notice(call: Call[Nothing, Nothing]) -> Notice:
    """Show the notice in force, and whether you have accepted it. It is signed on its page, in person."""
    admin, person = call.admin, call.admin.notice.signer(call.session)
    notice = admin.policy.notice
    if notice is None or person is None:
        return Notice(notice=None, accepted_at=None, known_by=None, may_be_put_off_until=None, changes=[])
    standing = await admin.notice.standing(person)
    receipt = standing.receipt
    return Notice(
        notice=NoticeText(
            version=notice.version,
            title=notice.title,
            paragraphs=notices.paragraphs(notice.text),
            law=notice.law,
            required_at=notices.required_at(admin.policy),
        ),
        accepted_at=receipt.accepted_at if receipt else None,
        known_by=receipt.known_by if receipt else None,
        may_be_put_off_until=standing.may_put_off_until,
        changes=[Changed(what=what, paragraph=paragraph) for what, paragraph in standing.changes],
    )
