"""The API as an ASGI application, made of its operations; and the document that describes them."""

import json
from collections.abc import Awaitable, Callable

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from admin.admin_process import AdminProcess
from admin.api.bearer import whose
from admin.api.openapi import document
from admin.api.operation import Call, Nothing, Operation
from admin.api.operations import OPERATIONS
from admin.api.problems import EXCEPTION_HANDLERS
from admin.call_limit import CallLimit
from admin.web.long_questions import LongQuestions


def create_api(admin: AdminProcess, questions: LongQuestions) -> ASGIApp:
    """Return the API of a running admin, to be mounted at /api/v1. It reads no cookie.

    `questions` are asked in turn with those of the pages.
    """
    api = Starlette(routes=routes(), exception_handlers=EXCEPTION_HANDLERS)
    api.state.admin = admin
    api.state.limit = CallLimit()
    api.state.questions = questions
    return api


def routes() -> list[BaseRoute]:
    """Return the routes: one for each operation, and the document."""
    return [
        *(Route(one.path, _served(one), methods=[one.method]) for one in OPERATIONS),
        Route("/openapi.json", _document, methods=["GET"]),
    ]


def _served(operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    """Return the view of an operation.

    1. the token says who acts, and is for this
    2. query and body are what the operation takes
    3. it does what it does for that person, or raises what `problems` has words for
    """

    async def serve(http_request: Request) -> Response:
        state, admin = http_request.app.state, http_request.app.state.admin
        token, session = await whose(http_request, admin, state.limit, operation.scope)
        http_request.state.session = session
        query = operation.query.model_validate_strings(_query(http_request))
        body: BaseModel = Nothing()
        if operation.takes_body:
            body = operation.body.model_validate_json(await _body(http_request, operation.most_bytes))
        call = Call(admin, session, token, http_request.path_params, query, body)
        if operation.is_long:
            questions: LongQuestions = state.questions
            answer = await questions.answer(http_request, lambda: operation.run(call))
        else:
            answer = await operation.run(call)
        return Response(answer.model_dump_json(), operation.status, media_type="application/json")

    return serve


def _query(http_request: Request) -> dict[str, str]:
    return dict(http_request.query_params)


async def _body(http_request: Request, most_bytes: int) -> bytes:
    media_type = http_request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415)
    body = b""
    async for part in http_request.stream():
        body += part
        if len(body) > most_bytes:
            raise HTTPException(413)
    return body


async def _document(_http_request: Request) -> Response:
    return JSONResponse(json.loads(document()))
