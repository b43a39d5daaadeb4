"""The real squidGuard, from Debian, beside ours: the same lists, the same sites, the same answers."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from categories.host_name import canonical_host
from categories.taxonomy import taxonomy
from tests.categories.lists import publish_lists
from tests.real_data import TestData

pytestmark = pytest.mark.long

# Its databases take a second each, and minutes for UT1's largest.
_MAX_BYTES = 100_000
_FIRST_OF_UMBRELLA = 3000


def _lists_below(folder: Path, ut1: Path) -> list[str]:
    """Copy the smaller categories of UT1 that we use; return their names in order."""
    names = []
    for path in sorted(ut1.iterdir()):
        domains = path / "domains"
        if not taxonomy().for_list_category("ut1", path.name) or not domains.exists():
            continue
        if 0 < domains.stat().st_size <= _MAX_BYTES:
            (folder / path.name).mkdir(parents=True)
            shutil.copy(domains, folder / path.name)
            names.append(path.name)
    return names


def _squidguards(folder: Path, names: list[str], hosts: list[str]) -> list[str | None]:
    """Return the category that squidGuard stops each host for, the first one if there are several."""
    blocks = [f"dest c{number} {{\n domainlist {name}/domains\n}}" for number, name in enumerate(names)]
    stopped = " ".join(f"!c{number}" for number in range(len(names)))
    acl = f"acl {{\n default {{\n pass {stopped} all\n redirect http://stopped.example/?by=%t\n }}\n}}"
    configuration = folder / "squidGuard.conf"
    configuration.write_text("\n".join([f"dbhome {folder}", f"logdir {folder}", *blocks, acl, ""]))
    command = ["squidGuard", "-c", str(configuration)]
    subprocess.run([*command, "-C", "all"], check=True, capture_output=True)
    requests = "".join(f"http://{host}/ 10.0.0.1/- - GET\n" for host in hosts)
    answers = subprocess.run(command, input=requests, check=True, capture_output=True, text=True)
    found = [re.search(r"by=c([0-9]+)", line) for line in answers.stdout.splitlines()]
    return [names[int(each[1])] if each else None for each in found]


@pytest.mark.needs("squidGuard")
def test_squidguard_says_the_same_of_every_site(test_data: TestData, tmp_path: Path) -> None:
    folder = tmp_path / "ut1"
    names = _lists_below(folder, test_data("ut1") / "blacklists")
    lists = publish_lists(tmp_path / "published", {"ut1": folder}, tmp_path / "scratch")
    lines = (test_data("traffic") / "page-requests.jsonl").read_text().splitlines()
    visited = (re.match(r"https?://([^/:?#]+)", json.loads(line)["url"]) for line in lines)
    top = (test_data("top-sites") / "umbrella-top-100k.txt").read_text().split()[:_FIRST_OF_UMBRELLA]
    hosts = list(dict.fromkeys([canonical_host(found[1]) for found in visited if found] + top))
    theirs = _squidguards(folder, names, hosts)
    listed = 0
    for host, their in zip(hosts, theirs, strict=True):
        ours = {match.category for match in lists.lookup(host)}
        if their is None:
            assert not ours, host
        else:
            assert taxonomy().for_list_category("ut1", their) in ours, (host, their)
            listed += 1
    assert listed > 100
