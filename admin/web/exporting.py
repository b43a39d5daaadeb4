"""The visits of the page's filters as a file to download: all of them, or none and why."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from admin import visit_export
from admin.visit_export import TooManyVisitsError
from admin.visits import NamesHiddenError
from admin.web import visit_filters
from admin.web.errors import database_trouble
from admin.web.long_questions import MOST_SECONDS, TooLongError
from admin.web.page import admin_of, go_to, page, questions_of
from admin.web.session_cookie import signed_in
from admin.web.visit_filters import address

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 64 * 1024


async def export_visits(http_request: Request) -> Response:
    """Send the visits as a table. It is whole before its first byte is sent, and so is what is on record."""
    admin, session = admin_of(http_request), signed_in(http_request)
    filters = visit_filters.read(http_request.query_params, admin.now(), admin.zone)
    if filters.wrong:
        return go_to(address(filters.typed))
    given, where = filters.given, filters.where
    with ExitStack() as stack:
        try:
            # It has no name: nobody else opens it, and it is gone with whatever becomes of this process.
            table = stack.enter_context(TemporaryFile(dir=admin.state.admin))
            exported = await questions_of(http_request).answer(
                http_request, lambda: admin.visit_exports.write(session, where, given, table)
            )
        except NamesHiddenError:
            return go_to(f"/visits/names?{urlencode({'next': address(given)})}")
        except TooManyVisitsError as too_many:
            return await _refused(http_request, too_many, address(given), 422)
        except TooLongError as too_long:
            return await _refused(http_request, too_long, address(given), 503)
        except OSError as error:
            return await database_trouble(http_request, error)
        size = table.tell()
        table.seek(0)
        stack.pop_all()
    return StreamingResponse(
        _chunks(table),
        media_type="text/csv",
        headers={
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="{exported.file_name(admin.zone)}"',
        },
    )


async def _refused(http_request: Request, error: Exception, back: str, status: int) -> Response:
    logger.warning("export given up: %s", error)
    return await page(
        http_request,
        "not_exported.html",
        status,
        seconds=round(MOST_SECONDS) if isinstance(error, TooLongError) else None,
        most=visit_export.MOST_VISITS,
        back=back,
    )


async def _chunks(table: IO[bytes]) -> AsyncIterator[bytes]:
    with table:
        while chunk := await asyncio.to_thread(table.read, _CHUNK_BYTES):
            yield chunk
