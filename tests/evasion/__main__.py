"""Tries every case, inside namespaces of its own: `run_outside` starts it."""

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.evasion.cases import groups, vector_group
from tests.evasion.origin import Origin
from tests.evasion.outside import outside
from tests.evasion.proxies import PROXIES
from tests.evasion.trying import try_cases


def main() -> None:
    """Write what came of every case, by proxy and case, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.evasion", description=__doc__)
    parser.add_argument("--proxy", action="append", choices=PROXIES, required=True)
    parser.add_argument("--vectors", type=Path, help="llhttp's cases too, from this folder")
    parser.add_argument("--only", help="the cases of this kind")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    found = groups() + ([vector_group(options.vectors)] if options.vectors else [])
    cases = [case for group in found if options.only in (None, group.name) for case in group.cases]
    with tempfile.TemporaryDirectory(prefix="towngate-evasion-") as name:
        folder = Path(name)
        with outside(folder):
            origin = Origin(folder)
            outcomes = {}
            for proxy in options.proxy:
                own = folder / proxy
                own.mkdir()
                with PROXIES[proxy](own, origin.ca_certificate) as tried:
                    outcomes[proxy] = {
                        "about": tried.about,
                        "outcomes": {
                            id_: asdict(outcome) | {"reached": sorted(outcome.reached)}
                            for id_, outcome in try_cases(cases, tried.port, origin).items()
                        },
                    }
            origin.close()
    options.json.write_text(json.dumps(outcomes, indent=1))


if __name__ == "__main__":
    main()
