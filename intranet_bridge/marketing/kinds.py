"""The kinds of adapter there are: those that come with the bridge, and plug-ins.

A plug-in is a Python package that names an `AdapterKind` in its entry points::

    [project.entry-points."dmz_bridge.adapters"]
    mainframe = "our_package.adapter:KIND"

It is imported only when a system says ``adapter = "mainframe"``.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from intranet_bridge.marketing.kind import AdapterKind
from protocol.runtime.settings import nearest

GROUP = "dmz_bridge.adapters"
_OWN = {
    "http": "intranet_bridge.marketing.http.kind",
    "soap": "intranet_bridge.marketing.soap.kind",
    "sql": "intranet_bridge.marketing.sql.kind",
}
"""Name → the module whose `KIND` it is."""


@cache
def kind(name: str) -> AdapterKind:
    """The kind of this name. Raises ValueError for one that is not there, or cannot be loaded."""
    if name in _OWN:
        found: AdapterKind = import_module(_OWN[name]).KIND
        return found
    plugins = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in plugins:
        known = sorted({*_OWN, *plugins})
        near = nearest(name, known)
        meant = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
        raise ValueError(f"there is no adapter {name!r}; {meant}")
    try:
        found = plugins[name].load()
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"the plug-in {plugins[name].value} cannot be loaded: {why}") from error
    missing = [part for part in ("system", "binding", "complaints", "open") if not hasattr(found, part)]
    if missing:
        raise ValueError(f"the plug-in {plugins[name].value} is no adapter kind: it has no {', '.join(missing)}")
    return found
