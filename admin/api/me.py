"""What a program can know of the token it has."""

from datetime import datetime

from pydantic import BaseModel

from admin.api.operation import Call, Nothing
from admin.api_tokens import Scope


class Token(BaseModel):
    """The token that was sent."""

    number: str
    name: str
    person: str
    scopes: list[Scope]
    ends_at: datetime


async def read_token(call: Call[Nothing, Nothing]) -> Token:
    """Say whose token this is, what it is for, and until when."""
    token = call.token
    return Token(
        number=token.number,
        name=token.name,
        person=token.person,
        scopes=sorted(token.scopes),
        ends_at=token.ends_at,
    )
