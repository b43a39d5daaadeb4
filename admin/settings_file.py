"""The settings in force: settings.yaml and the secrets it names, taken up when they change.

One with problems changes nothing but `problems`; at the start it stops the start, as there is nothing
that could stay in force.
"""

import asyncio
import logging
from pathlib import Path

from admin.settings import Settings, read_settings
from admin.state_folder import StateFolder
from policy.problem import PolicyError

logger = logging.getLogger(__name__)

_WATCH_SECONDS = 0.5
_LOGGED_PROBLEMS = 5

type _Stamps = tuple[tuple[Path, int, int, int] | None, ...]


class SettingsError(Exception):
    """The settings have problems, and none were in force before; nothing was started."""


class SettingsFile:
    """Owns the running settings.

    `settings` is replaced whole when the document and its secrets are good. `problems` says what is
    wrong with them as they are now, empty when they are the running ones.
    """

    def __init__(self, state: StateFolder) -> None:
        self._path = state.settings_document
        self._stamps: _Stamps = ()
        self.settings = Settings()
        self.problems: tuple[str, ...] = ()

    async def start(self) -> None:
        """Take the settings up. Raises SettingsError with every problem."""
        await self.reload()
        if self.problems:
            raise SettingsError("\n".join((*self.problems, "mend it, then start again")))

    async def reload(self) -> None:
        """Read the document and put it in force, or say in `problems` why not."""
        before, were = self.problems, self.settings
        try:
            await self._take_up()
        except PolicyError as error:
            self.problems = tuple(problem.in_file(self._path.name) for problem in error.problems)
        except OSError as error:
            self.problems = (f"{self._path}: {error.strerror}; the running settings stay",)
        except UnicodeDecodeError as error:
            self.problems = (f"{self._path}: is not UTF-8 text ({error}); the running settings stay",)
        else:
            self.problems = ()
            if self.settings != were or before:
                _log_settings(self.settings)
        if self.problems != before:
            # The key that is missing comes before the misspelt one that was meant, so not the first alone.
            for problem in self.problems[:_LOGGED_PROBLEMS]:
                logger.warning("settings refused: problems=%d problem=%s", len(self.problems), problem)

    async def watch(self) -> None:
        """Follow the files twice a second, for ever."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            # What is wrong may be mended in a file that is not known by name yet.
            if self.problems or await asyncio.to_thread(self._stamps_now) != self._stamps:
                await self.reload()

    async def _take_up(self) -> None:
        while True:
            # Stamped before they are read: a change while they are read is seen as one.
            self._stamps = await asyncio.to_thread(self._stamps_now)
            read = await asyncio.to_thread(self._read)
            are_stamped = read.secret_files == self.settings.secret_files
            self.settings = read
            if are_stamped:
                return

    def _read(self) -> Settings:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Settings()
        return read_settings(text, self._path.parent)

    def _stamps_now(self) -> _Stamps:
        return tuple(_stamp(path) for path in (self._path, *self.settings.secret_files))


def _log_settings(settings: Settings) -> None:
    mail, webhook = settings.mail, settings.webhook
    logger.info(
        "settings in force: mail=%s webhook=%s lists=%s",
        f"{mail.host}:{mail.port}" if mail else "none",
        webhook.host if webhook else "none",
        ",".join(source.name for source in settings.lists.sources) or "none",
    )


def _stamp(path: Path) -> tuple[Path, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return path, found.st_ino, found.st_size, found.st_mtime_ns
