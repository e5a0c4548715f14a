"""A host after steps were done, without doing any."""

import dataclasses

from scripts.tools.installer.conffiles import digest
from scripts.tools.installer.facts import Facts, Found, Installed
from scripts.tools.installer.steps import Kind, Step


def applied(facts: Facts, steps: list[Step]) -> Facts:
    """The host after these steps."""
    tree = dict(facts.tree or {})
    users = set(facts.users)
    installed = facts.installed
    for step in steps:
        if step.kind is Kind.USER:
            users.add(step.path)
        elif step.kind in (Kind.FOLDER, Kind.TREE):
            tree[step.path] = Found("folder")
        elif step.kind in (Kind.WRITE, Kind.BESIDE):
            tree[step.path] = Found("file", digest(step.content))
            if step.path.endswith("installed.json"):
                installed = Installed.load(step.content.decode())
        elif step.kind is Kind.COPY:
            assert step.source is not None
            content = step.source.read_bytes() if step.source.exists() else b""
            tree[step.path] = Found("file", digest(content))
        elif step.kind is Kind.REMOVE:
            tree = {path: found for path, found in tree.items() if not f"{path}/".startswith(f"{step.path}/")}
        elif step.kind is Kind.LINK:
            tree[step.path] = Found("link", target=step.target)
    return dataclasses.replace(facts, tree=tree, users=frozenset(users), installed=installed)
