"""What the API can do, one operation each: what serves it is what describes it.

An operation is a function of a Call. Its docstring says what it does, its annotations what it takes and
answers; route and document are made from these.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict

from admin.admin_process import AdminProcess
from admin.api_tokens import ApiToken, Scope
from admin.sessions import Session


class Input(BaseModel):
    """What is sent. A field that is not known, or of another type, is refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)


def example(**values: object) -> ConfigDict:
    """Return the configuration of an Input of which the document has an example."""
    return ConfigDict(json_schema_extra={"examples": [dict[str, Any](values)]})


class Query(BaseModel):
    """What stands behind the "?". Everything there is text; a name that is not known is refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


class Nothing(Query):
    """Nothing is taken here."""


class Listed[T: BaseModel](BaseModel):
    """Some of them. `next` is the address of those that follow, null where these are the last."""

    items: list[T]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Call[Q: BaseModel, B: BaseModel]:
    """One use of an operation: by whose token, with which path, query and body."""

    admin: AdminProcess
    session: Session
    token: ApiToken
    path: Mapping[str, Any]
    query: Q
    body: B

    @property
    def id(self) -> int:
        """The number in the path."""
        number: int = self.path["id"]
        return number


type Run = Callable[[Call[Any, Any]], Awaitable[BaseModel]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` is below /api/v1, with Starlette's convertors. `scope` is None where any token is enough.

    A body has `most_bytes`. One that `is_long` may look at many visits (`admin.web.long_questions`).
    """

    method: Literal["GET", "POST"]
    path: str
    scope: Scope | None
    run: Run
    status: int = 200
    most_bytes: int = 64 * 1024
    is_long: bool = False
    query: type[BaseModel] = field(init=False)
    body: type[BaseModel] = field(init=False)
    answers: type[BaseModel] = field(init=False)

    def __post_init__(self) -> None:
        hints = get_type_hints(self.run)
        query, body = get_args(hints["call"])
        object.__setattr__(self, "query", query)
        object.__setattr__(self, "body", body)
        object.__setattr__(self, "answers", hints["return"])

    @property
    def takes_body(self) -> bool:
        """Whether a body is sent."""
        return self.body is not Nothing

    @property
    def name(self) -> str:
        """What programs call it: the function's name."""
        return self.run.__name__

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return (inspect.getdoc(self.run) or "").partition("\n")[0]

    @property
    def description(self) -> str:
        """What else is to know of it."""
        return (inspect.getdoc(self.run) or "").partition("\n")[2].strip()
