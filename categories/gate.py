"""The gate: an edition of a list that cannot be right is never used."""

from categories.entries import KeptSource
from categories.reading import Edition
from categories.sources import SourceError


def judge(edition: Edition, former: KeptSource | None) -> None:
    """Raise SourceError, saying why, unless the edition may replace the former one.

    Refused: no entries; more lines that were not understood than entries; fewer than half of the
    former entries; fewer than before and an end in the middle of a line.
    """
    source = edition.source
    found, lost = source.count, edition.problems.count
    if lost > found:
        raise SourceError(
            f"{source.location}: not a list that can be read here: {lost} lines were not understood, "
            f"{found} were; the first: {edition.problems.first[0]}"
        )
    if not found:
        raise SourceError(f"{source.location}: it is empty: no entries in it")
    if former is None:
        return
    if found < former.count / 2:
        raise SourceError(
            f"{source.location}: it shrank to under half: {found} entries, {former.count} before"
        )
    if edition.is_cut and found < former.count:
        raise SourceError(
            f"{source.location}: it is cut: it ends in the middle of a line, with {found} entries "
            f"where {former.count} were before"
        )
