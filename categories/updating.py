"""Updating: new editions of the sources are read, judged and kept, and a snapshot is made of them.

A source that is refused keeps its last good entries in the new snapshot, and never stops the others.
A server is asked for an edition only if it has another than the one in force.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from categories.comparing import compare
from categories.entries import EntriesError, EntriesFile, KeptSource
from categories.fetching import FetchError, fetch, named_private_host
from categories.gate import doubts_about_sites, doubts_about_size, judge
from categories.known_sites import KnownSites, known_sites
from categories.parsing import Problems
from categories.publishing import CurrentSnapshot, is_held, publish
from categories.reading import Edition, read_edition
from categories.snapshot import CategorySnapshot, CategorySnapshotError
from categories.source_checks import SourceCheck
from categories.sources import (
    STARTER,
    UNFINISHED,
    KeptSources,
    NotFetchedError,
    Source,
    SourceError,
    is_url,
    starter_source,
)
from categories.taxonomy import taxonomy
from categories.validators import Validators

type Watch = Callable[[str, int, int | None], None]
"""Told what is being done, and how far it is: bytes done, and of how many, None when that is unknown."""


class UpdateError(Exception):
    """An update could not be made at all; what was published before stays in force."""


def _nobody(name: str, doubts: Sequence[str]) -> None:
    """Nobody records what is forced, for nothing is."""


@dataclass(frozen=True, slots=True)
class Force:
    """Sources, by name, whose editions are used in spite of what the gate doubts.

    `record` is told the source and the doubts before the edition is kept; when it raises, it is not.
    """

    names: Collection[str] = ()
    record: Callable[[str, Sequence[str]], None] = _nobody


@dataclass(slots=True)
class SourceReport:
    """What became of one source.

    `entries` is how many are now in force (one that is in two categories counts twice), `added` and
    `removed` how these differ from before. `refused` says why a new edition was not used; None when
    it was. `doubts` are those of the gate: a source refused for them can be forced, one that was not
    refused has been. `is_unchanged` says that the server has no other than the one in force.
    `category` is what all entries of a plain list are in.
    """

    name: str
    category: str | None = None
    refused: str | None = None
    doubts: tuple[str, ...] = ()
    is_unchanged: bool = False
    problems: Problems = field(default_factory=Problems)
    unused: dict[str, str] = field(default_factory=dict)
    entries: int = 0
    added: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What an update did. `former` is the version that was in force before, None when none was.

    `is_held` says that it stays in force because somebody went back to it: what was kept is not
    published before they end that.
    """

    version: str
    former: str | None
    sources: tuple[SourceReport, ...]
    is_held: bool = False


def update(
    sources: Sequence[Source],
    kept_folder: Path,
    published: Path,
    at: datetime,
    remove: Collection[str] = (),
    *,
    configured: Sequence[Source] = (),
    known: KnownSites | None = None,
    force: Force | None = None,
    watch: Watch | None = None,
) -> UpdateReport:
    """Fetch the sources, keep what is good and publish a snapshot of all that is kept.

    Without sources, the configured ones and the others that are kept are fetched again. The entries
    of sources named in `remove` are dropped. The starter list is there from the first update on,
    until it is removed. When every source was refused nothing is published. The gate holds editions
    to the `known` sites, those that everybody knows unless given. `at` is aware UTC.
    Raises UpdateError when nothing could be done.
    """
    try:
        kept_folder.mkdir(parents=True, exist_ok=True)
        published.mkdir(parents=True, exist_ok=True)
        kept = KeptSources(kept_folder)
        with kept.alone() as are_alone:
            if not are_alone:
                raise UpdateError("another update is running; try again when it has ended")
            renewing = _Renewing(kept, at, known or known_sites(), force or Force(), watch or _unwatched)
            return _update(sources, kept, published, at, remove, configured, renewing)
    except OSError as error:
        raise UpdateError(
            f"{error.filename or published}: {error.strerror}; what was published before stays in force"
        ) from error
    except EntriesError as error:
        raise UpdateError(f"{error}; what was published before stays in force") from error


def _update(
    sources: Sequence[Source],
    kept: KeptSources,
    published: Path,
    at: datetime,
    remove: Collection[str],
    configured: Sequence[Source],
    renewing: "_Renewing",
) -> UpdateReport:
    kept.clear_unfinished()
    before = _current(published)
    names = kept.names()
    unknown = sorted(set(remove).difference(kept.tried()))
    if unknown:
        raise UpdateError(f"there is no source {unknown[0]!r} to remove; nothing was changed")
    twice = [name for name, count in Counter(source.name for source in sources).items() if count > 1]
    if twice:
        raise UpdateError(f"source {twice[0]!r} is named twice; nothing was changed")
    if not sources and not remove:
        named = {source.name for source in configured}
        sources = [*configured, *(_kept_source(name, kept) for name in names if name not in named)]
    if not names:
        sources = [starter_source(), *sources]
    unforced = sorted(set(renewing.force.names).difference(source.name for source in sources))
    if unforced:
        raise UpdateError(f"{unforced[0]!r} is not updated, so it cannot be forced; nothing was changed")
    for name in remove:
        kept.remove(name)
    reports = [renewing.renew(source) for source in sources]
    kept.clear_unfinished()

    held = before is not None and is_held(published)
    nothing_new = not remove and all(report.refused for report in reports)
    if before is not None and (held or nothing_new):
        after = before
    else:
        renewing.watch("compiling", 0, None)
        with ExitStack() as files:
            entries = [files.enter_context(kept.open(name)) for name in kept.names()]
            after = publish(published, entries, at)
    reported = {report.name for report in reports}
    reports += [SourceReport(name) for name in (*kept.names(), *remove) if name not in reported]
    _count_changes(before, after, reports)
    return UpdateReport(after.version, before.version if before else None, tuple(reports), held)


def _current(published: Path) -> CategorySnapshot | None:
    """Return the snapshot in force; None when there is none, or none that could be compared with."""
    try:
        return CurrentSnapshot(published).snapshot
    except CategorySnapshotError:
        return None


def _kept_source(name: str, kept: KeptSources) -> Source:
    if name == STARTER:
        return starter_source()
    with kept.open(name) as entries:
        location, category = entries.source.location, entries.source.category
    noted = kept.check(name)
    # As it was asked for, which may have left the category to the list.
    return Source(name, location, noted.category if noted and noted.location == location else category)


@dataclass(frozen=True, slots=True)
class _Renewing:
    """How sources are renewed in one update."""

    kept: KeptSources
    at: datetime
    known: KnownSites
    force: Force
    watch: Watch

    def renew(self, source: Source) -> SourceReport:
        """Fetch and read a source, and keep what was read if the gate lets it pass."""
        kept, at = self.kept, self.at
        noted = kept.check(source.name)
        former = kept.find(source.name)
        if noted is None or (noted.location, noted.category) != (source.location, source.category):
            check = SourceCheck(source.location, source.category, at, noted.good_at if noted else None)
        else:
            check = noted
        have = check.validators if former is not None else Validators()
        report = SourceReport(source.name, former.category if former else None)
        try:
            with _located(source, kept, have, self.watch) as (path, validators):
                if validators is None:
                    kept.note(source.name, check.good(at, have))
                    report.is_unchanged = True
                    return report
                self.watch(f"{source.name}: reading", 0, None)
                edition = read_edition(source, kept.unfinished_path(source.name), taxonomy(), at, path)
                judge(edition)
                report.doubts = self._doubts(edition, former)
                if report.doubts and source.name not in self.force.names:
                    raise SourceError(f"{source.location}: {'; '.join(report.doubts)}")
        except SourceError as error:
            was_fetched = not isinstance(error, NotFetchedError)
            kept.note(source.name, check.failed(at, str(error), was_fetched=was_fetched))
            report.refused = str(error)
            return report
        if report.doubts:
            self.force.record(source.name, report.doubts)
        kept.keep(source.name)
        kept.note(source.name, check.good(at, validators))
        report.category = edition.source.category
        report.problems, report.unused = edition.problems, edition.unused
        return report

    def _doubts(self, edition: Edition, former: KeptSource | None) -> tuple[str, ...]:
        """Return what the gate doubts of an edition that has just been read."""
        name = edition.source.name
        with ExitStack() as files:
            entries = files.enter_context(EntriesFile(self.kept.unfinished_path(name)))
            before = files.enter_context(self.kept.open(name)) if former is not None else None
            about_size = doubts_about_size(edition, former, taxonomy()) if former is not None else ()
            return (*about_size, *doubts_about_sites(entries, before, self.known, taxonomy()))


@contextmanager
def _located(
    source: Source, kept: KeptSources, have: Validators, watch: Watch
) -> Iterator[tuple[Path | None, Validators | None]]:
    """Yield where a source's new edition was fetched to, None: it is at its own path; and its validators.

    Validators of None say that there is no new edition.
    """
    if not is_url(source.location):
        yield None, Validators()
        return
    with tempfile.NamedTemporaryFile(dir=kept.folder, suffix=UNFINISHED) as file:
        host = named_private_host(source.location)
        try:
            validators = fetch(
                source.location,
                file,
                private_hosts=() if host is None else (host,),
                have=have,
                on_progress=lambda done, of: watch(f"{source.name}: fetching", done, of),
            )
        except FetchError as error:
            raise NotFetchedError(str(error)) from error
        file.flush()
        yield Path(file.name), validators


def _unwatched(what: str, done_bytes: int, of_bytes: int | None) -> None:
    """Nobody watches."""


def _count_changes(
    before: CategorySnapshot | None, after: CategorySnapshot, reports: Iterable[SourceReport]
) -> None:
    """Fill in how many entries each source has, and how many of them came and went."""
    now, added, removed = Counter[str](), Counter[str](), Counter[str]()
    for (_, source), count in after.counts.items():
        now[source] += count
    for (_, source), change in compare(before, after).items():
        added[source] += change.added
        removed[source] += change.removed
    for report in reports:
        report.entries = now[report.name]
        report.added = added[report.name]
        report.removed = removed[report.name]
