"""`make bench-categories`: what the category lists cost at full scale, each figure beside its bar.

Needs TOWNGATE_TEST_DATA, the folder of ut1.tar.xz, top-sites.tar.xz, traffic.tar.xz and formats.tar.xz.
squidGuard runs beside it where it is installed.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from categories.compiling import compile_snapshot
from categories.default_sources import default_sources
from categories.entries import EntriesFile
from categories.host_name import HostNameError, canonical_host
from categories.reading import read_edition
from categories.snapshot import CategorySnapshot
from categories.sources import STARTER, starter_source
from categories.taxonomy import taxonomy
from tests.benchmarks.report import machine
from tests.benchmarks.swapping import as_markdown, measure_swaps
from tests.categories.lists import AT

_CLONES = "blogspot."
# Editions of the default sources, of the years 2022 to 2025, in the archive `formats`.
_SAMPLES = {
    "v2fly": "v2fly",
    "urlhaus": "urlhaus-filter-domains.txt",
    "doh": "doh-domains.txt",
    "stevenblack": "stevenblack.domains.txt",
    "easylist": "easylist.domains.txt",
    "someonewhocares": "someonewhocares.domains.txt",
    "disposable_mail": "disposable_email_blocklist.conf",
}
_SWAP_SECONDS = 30.0
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class _Bar:
    """A figure of a step, and the most that it may be."""

    title: str
    step: str
    figure: str
    most: float | None = None


_BARS = (
    _Bar("compile from the archive, CPU s", "compile", "cpu_seconds", 30),
    _Bar("compile, peak memory, MB", "compile", "peak_mb", 600),
    _Bar("snapshot on disk, MB", "compile", "disk_mb", 45),
    _Bar("entries kept of the source, on disk, MB", "compile", "kept_mb"),
    _Bar("opening it in a worker, ms", "open", "open_ms", 5),
    _Bar("opening it, own memory, MB", "open", "own_mb", 10),
    _Bar("reading it whole before it is used, ms", "open", "verify_ms"),
    _Bar("extra memory while swapping, MB", "open", "swap_own_mb", 10),
    _Bar("the trie's part in looking a host up, median, us", "look-up", "trie_us"),
    _Bar("lookup of a host, median, us", "look-up", "lookup_us", 2.0),
    _Bar(
        "lookup with URL entries, expressions and 1,000 corrections, median, us",
        "look-up",
        "full_lookup_us",
        5,
    ),
    _Bar("the same and the policy's decision, median, us", "look-up", "decide_us"),
    _Bar("lookups a second, one after the other", "look-up", "lookups_a_second"),
)


def main() -> None:
    """Measure, and print."""
    data = os.environ.get("TOWNGATE_TEST_DATA")
    if data is None:
        sys.exit("TOWNGATE_TEST_DATA must name the folder of ut1, top-sites, traffic and formats (.tar.xz)")
    with tempfile.TemporaryDirectory(prefix="towngate-bench-") as name:
        folder = Path(name)
        for archive in ("ut1", "top-sites", "traffic", "formats"):
            with tarfile.open(Path(data, f"{archive}.tar.xz")) as tar:
                tar.extractall(folder, filter="data")
        umbrella = (folder / "top-sites/umbrella-top-100k.txt").read_text().split()
        visits = page_requests(folder / "traffic/page-requests.jsonl")
        pages = sorted({host for host, _ in visits})
        hosts = folder / "hosts"
        hosts.write_text("\n".join([*pages, *umbrella]))
        paths = folder / "visits"
        paths.write_text("\n".join(f"{host}\t{path}" for host, path in visits))
        lists = folder / "ut1/blacklists"
        runs = {}
        for title, source in (("all", Path(data, "ut1.tar.xz")), ("without clones", _without_clones(lists))):
            own = folder / title.split()[0]
            own.mkdir()
            runs[title] = _run(source, own, hosts, paths)
        print(f"\n{machine()}\n")
        print(table(runs))
        asked = {"Umbrella": umbrella, "hosts of pages": pages, "page requests": [host for host, _ in visits]}
        print(coverage(_kept(folder / "all/ut1.entries", folder / "formats", folder), folder, asked))
        (published,) = (path for path in (folder / "all/published").iterdir() if path.is_dir())
        print(squidguard(lists, hosts, CategorySnapshot.open(published)))
        print("swapping ...", file=sys.stderr, flush=True)
        entries = folder / "all/ut1.entries", folder / "starter.entries"
        print(as_markdown(measure_swaps(folder, *entries, seconds=_SWAP_SECONDS)))


def _run(source: Path, folder: Path, hosts: Path, visits: Path) -> dict[str, dict[str, float]]:
    figures = {"compile": _step("compile", str(source), str(folder))}
    (snapshot,) = (path for path in (folder / "published").iterdir() if path.is_dir())
    figures["open"] = _step("open", str(snapshot))
    figures["look-up"] = _step("look-up", str(snapshot), str(hosts), str(visits))
    return figures


def _step(name: str, *arguments: str) -> dict[str, float]:
    print(f"{name} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "tests.benchmarks.category_steps", name, *arguments]
    figures: dict[str, float] = json.loads(subprocess.check_output(command))
    return figures


def page_requests(path: Path) -> list[tuple[str, str]]:
    """Return canonical host and path of every request that has a host."""
    found = []
    for line in path.read_text().splitlines():
        try:
            url = urlsplit(json.loads(line)["url"])
            found.append((canonical_host(url.hostname or ""), url.path or "/"))
        except (ValueError, HostNameError):
            continue
    return [(host, path) for host, path in found if "\t" not in path and "\n" not in path]


def _without_clones(lists: Path) -> Path:
    """Return a copy of the lists without the clones of blogspot."""
    target = lists.with_name("without-clones")
    shutil.copytree(lists, target, symlinks=True)
    domains = target / "adult/domains"
    lines = domains.read_text(errors="replace").splitlines(keepends=True)
    domains.write_text("".join(line for line in lines if _CLONES not in line))
    return target


def table(runs: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return the figures of every run, each beside the most that it may be."""
    rows = [["what", "at most", *runs]]
    for key in ("entries", "names"):
        rows.append([key, "", *(f"{figures['compile'][key]:,.0f}" for figures in runs.values())])
    for bar in _BARS:
        cells = []
        for figures in runs.values():
            value = figures[bar.step][bar.figure]
            missed = bar.most is not None and value > bar.most
            cells.append(f"{value:,.2f}{' MISSED' if missed else ''}")
        rows.append([bar.title, f"{bar.most:g}" if bar.most is not None else "", *cells])
    return _as_markdown(rows)


def coverage(kept: Mapping[str, Path], folder: Path, names: Mapping[str, Sequence[str]]) -> str:
    """Return which share of names each source, by its name, knows; then those of a new town; then all."""
    used = [STARTER, *(source.name for source in default_sources() if source.is_on)]
    together = {"a new town's": [name for name in used if name in kept], "all": list(kept)}
    rows = [["share of names listed", *names]]
    for title, sources in ({name: [name] for name in kept} | together).items():
        snapshot = _compiled([kept[name] for name in sources], folder / f"coverage-{len(rows)}")
        rows.append([title, *(_share(snapshot, hosts) for hosts in names.values())])
    return _as_markdown(rows)


def _kept(ut1: Path, formats: Path, folder: Path) -> dict[str, Path]:
    """Return the entries of the starter list and of each default source of which there is a sample."""
    # Its lists lie where they do in its own archive.
    (formats / "v2fly").rename(formats / "data")
    (formats / "v2fly").mkdir()
    (formats / "data").rename(formats / "v2fly/data")
    kept = {STARTER: folder / "starter.entries"}
    read_edition(starter_source(), kept[STARTER], taxonomy(), AT)
    for source in default_sources():
        if source.name == "ut1":
            kept[source.name] = ut1
        elif source.name in _SAMPLES:
            sample = formats / _SAMPLES[source.name]
            kept[source.name] = folder / f"{source.name}.entries"
            read_edition(replace(source.source, location=str(sample)), kept[source.name], taxonomy(), AT)
    return kept


def _compiled(sources: Iterable[Path], folder: Path) -> CategorySnapshot:
    unnamed = folder / "unnamed"
    unnamed.mkdir(parents=True)
    files = [EntriesFile(path) for path in sources]
    version = compile_snapshot(files, unnamed, taxonomy())
    return CategorySnapshot.open(unnamed.rename(folder / version))


def _share(snapshot: CategorySnapshot, hosts: Sequence[str]) -> str:
    return f"{sum(bool(snapshot.lookup(host)) for host in hosts) / len(hosts):.1%}"


def squidguard(lists: Path, hosts: Path, ours: CategorySnapshot) -> str:
    """Return what squidGuard takes for the same lists, in a process of its own; and where it differs."""
    program = shutil.which("squidGuard")
    if program is None:
        return "squidGuard: not installed, so nothing to compare with"
    print("squidGuard ...", file=sys.stderr, flush=True)
    config = lists.parent / "squidGuard.conf"
    names = sorted(path.parent.name for path in lists.glob("*/domains") if not path.parent.is_symlink())
    config.write_text(_squidguard_config(lists, names))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, "-c", config, "-C", "all"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = sum(path.stat().st_size for path in lists.glob("*/*.db")) / 1e6
    asked = "".join(f"http://{host}/ 10.0.0.1/- - GET\n" for host in hosts.read_text().split())
    seconds = []
    for text in ("", asked):
        started = time.perf_counter()
        answers = subprocess.run(
            [program, "-c", config], input=text, text=True, capture_output=True, check=True
        )
        seconds.append(time.perf_counter() - started)
    named = [named_by(line) for line in answers.stdout.splitlines()]
    blocked = sum(each is not None for each in named)
    theirs = dict(zip(hosts.read_text().split(), named, strict=True))
    count = asked.count("\n")
    return (
        f"squidGuard, compiling the same lists: {cpu:.1f} CPU s, {size:,.0f} MB on disk; "
        f"{count / (seconds[1] - seconds[0]):,.0f} lookups a second over its pipe, "
        f"{blocked:,} of {count:,} listed\n\n{agreement(theirs, ours)}"
    )


def named_by(answer: str) -> str | None:
    """Return the category for which squidGuard's answer, a line, redirects a request; None: it does not."""
    found = re.search(r"[?]by=([^\s\"]+)", answer)
    return found[1] if found else None


def agreement(theirs: Mapping[str, str | None], ours: CategorySnapshot) -> str:
    """Return where squidGuard's answers (UT1's own name of a category, or None, by host) are not ours.

    A category that we use for nothing is none. Where it names one of several, ours has to be among them.
    """
    alike = 0
    kinds: dict[str, list[str]] = {
        "listed by squidGuard alone": [],
        "listed by ours alone": [],
        "listed as something else": [],
    }
    for host, name in theirs.items():
        category = taxonomy().for_list_category("ut1", name) if name else None
        listed = {match.category for match in ours.lookup(host)}
        if category in listed or (category is None and not listed):
            alike += 1
        elif not listed:
            kinds["listed by squidGuard alone"].append(host)
        elif category is None:
            kinds["listed by ours alone"].append(host)
        else:
            kinds["listed as something else"].append(host)
    rows = [["squidGuard's answers and ours", "names", "such as"], ["alike", f"{alike:,}", ""]]
    rows += [[kind, f"{len(hosts):,}", ", ".join(hosts[:_EXAMPLES])] for kind, hosts in kinds.items()]
    return _as_markdown(rows)


def _squidguard_config(lists: Path, names: Sequence[str]) -> str:
    parts = [f"dbhome {lists}", f"logdir {lists.parent}"]
    for name in names:
        urls = lists / name / "urls"
        has_urls = urls.exists() and urls.stat().st_size
        parts.append(
            f"dest {name} {{\n domainlist {name}/domains\n{f' urllist {name}/urls' if has_urls else ''}\n}}"
        )
    # It names the first that holds: of a site in several categories, one that we use.
    used_first = sorted(names, key=lambda name: taxonomy().for_list_category("ut1", name) is None)
    denied = " ".join(f"!{name}" for name in used_first)
    parts.append(f"acl {{\n default {{\n  pass {denied} all\n  redirect http://127.0.0.1/?by=%t\n }}\n}}")
    return "\n".join(parts) + "\n"


def _as_markdown(rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in rows[0][1:])]
    return "".join(f"| {' | '.join(row)} |\n" for row in (rows[0], rule, *rows[1:]))


if __name__ == "__main__":
    main()
