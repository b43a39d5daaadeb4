"""Imported first, it keeps mitmproxy from importing every addon that it has.

`mitmproxy.addons` imports them all for whoever asks for one of its modules: web servers, LDAP and what
replays flows, 11 MB and half a second of a worker that uses none of it. Here the package is one whose
modules are found and imported as ever, and whose own code does not run. A stock mitmdump needs it.
"""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path

import mitmproxy

_NAME = "mitmproxy.addons"

# Where somebody has imported them all, there is nothing to save.
if _NAME not in sys.modules:
    _spec = ModuleSpec(_NAME, None, is_package=True)
    _spec.submodule_search_locations = [str(Path(next(iter(mitmproxy.__path__)), "addons"))]
    sys.modules[_NAME] = module_from_spec(_spec)
