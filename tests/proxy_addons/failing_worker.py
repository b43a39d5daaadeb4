"""A worker, run with `python -m`, in which deciding fails on demand.

The file that FAULT names says where: the name of an enforcing hook, "policy" for the decision
itself, "everything" for that and what a refusal is recorded with; empty for nowhere.
"""

import functools
import os
from pathlib import Path
from typing import Any

from proxy_addons import __main__ as worker
from proxy_addons.chain import Towngate
from proxy_addons.fail_closed import fail_closed
from proxy_addons.gate import Gate
from proxy_addons.judge import Judge

SECRET = "what went wrong is nobody's business"


def enforcing_hooks() -> dict[str, type]:
    """Return the name of every hook that is wrapped to fail closed, with the addon that has it."""
    return {
        name: type(addon)
        for addon in Towngate().addons
        for name, hook in vars(type(addon)).items()
        if getattr(hook, "__globals__", {}).get("__name__") == fail_closed.__module__
    }


def _fail_at(place: str, function: Any) -> Any:
    fault = Path(os.environ["FAULT"])

    @functools.wraps(function)
    def failing(*arguments: Any, **options: Any) -> Any:
        if fault.read_text() in (place, "everything"):
            raise RuntimeError(SECRET)
        return function(*arguments, **options)

    return failing


if __name__ == "__main__":
    for name, addon in enforcing_hooks().items():
        hook = getattr(addon, name).__wrapped__
        setattr(addon, name, fail_closed(_fail_at(name, hook)))
    # What was decided before would not be decided anew.
    for name in ("judge", "judge_host"):
        setattr(Judge, name, _fail_at("policy", getattr(Judge, name)))
    Gate.refused = _fail_at("a refusal", Gate.refused)  # type: ignore[method-assign]
    worker.main()
