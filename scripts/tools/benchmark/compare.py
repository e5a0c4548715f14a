"""This source tree against another commit of it, in turn: the noise of a machine, and its warming up, meet both alike.

Each tree has its own packages (by its own scripts/bootstrap), broker and daemons; only the load and the back end are
this tree's for both. Both stand ready all the time; rounds of load alternate between them, and every other round begins
with the other. What is compared are ratios of one round; their median and quartiles are what can be told.
"""

import contextlib
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from scripts.tools.benchmark import outcomes, pair, priority
from scripts.tools.testbed.layout import ROOT

Row = dict[str, Any]

LOADS = (("query", pair.QUERY, 1), ("query", pair.QUERY, 32), ("query", pair.QUERY, 128), ("command", pair.COMMAND, 64))
"""Name, wrk's script, and connections."""
MEASURES = ("front", "bridge", "broker", "CPU s/1000: pair", "requests/s", "p50 ms")
TO_OUTCOME = (
    "to outcome: front",
    "to outcome: bridge",
    "to outcome: broker",
    "to outcome, CPU s/1000: pair",
    "ended/s",
)
"""Of commands, beside what their acceptance costs."""
_WARM_CONNECTIONS = 32
SECONDS = 2
"""Of one load: short, so that a round of both trees meets the same moment of the machine."""

_WORKER = """
import importlib.util, json, sys
from pathlib import Path
sys.path.insert(0, ".")
from scripts.tools.benchmark import pair
pair.__file__ = sys.argv[2]  # where it looks for the back end: an older one answers every command alike
found = importlib.util.spec_from_file_location("outcomes_of_this_tree", sys.argv[3])
outcomes = importlib.util.module_from_spec(found)
found.loader.exec_module(outcomes)
with pair.Bench(Path(sys.argv[1]), "instant") as bench:
    print(json.dumps(list(bench.testbed.pids.values())), flush=True)
    for line in sys.stdin:
        script, connections, seconds, drain = json.loads(line)
        def load():
            return bench.load(script, connections, seconds)
        print(json.dumps(outcomes.to_outcome(bench, load) if drain else load()), flush=True)
"""
"""Runs in the tree that is measured, with its own Python."""


class CompareError(Exception):
    """The other commit cannot be had, or not be set up."""


class Side:
    """One tree, standing ready."""

    def __init__(self, tree: Path, folder: Path) -> None:
        command = [str(tree / ".venv/bin/python"), "-c", _WORKER, str(folder), pair.__file__, outcomes.__file__]
        self._process = subprocess.Popen(command, cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pids: list[int] = json.loads(self._heard())
        """Its daemons, its broker and the back end."""

    def load(self, script: str, connections: int) -> Row:
        """One round of load."""
        asked: IO[str] | None = self._process.stdin
        assert asked is not None
        asked.write(json.dumps([script, connections, SECONDS, script == pair.COMMAND]) + "\n")
        asked.flush()
        row: Row = json.loads(self._heard())
        if row["not 2xx"]:
            raise CompareError(f"{row['not 2xx']} answers were none of success: nothing can be told by their cost")
        return row

    def _heard(self) -> str:
        said: IO[str] | None = self._process.stdout
        assert said is not None
        line = said.readline()
        if not line:
            raise CompareError("a tree's daemons could not be measured; it says why above")
        return line

    def close(self) -> None:
        """Stop its daemons."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()


def run(
    revision: str, folder: Path, rounds: int, only: Sequence[str] = (), *, highest_priority: bool = False
) -> list[Row]:
    """Measure this tree against a commit. `only`: loads of these names. `highest_priority`: see priority.py.

    Raises CompareError.
    """
    with contextlib.ExitStack() as stack:
        if highest_priority:
            try:
                stack.enter_context(priority.highest())
            except PermissionError:
                raise CompareError("only root may have the highest priority") from None
        other = stack.enter_context(worktree(revision))
        sides: list[Side] = []
        for name, tree in (("this", ROOT), ("other", other)):
            sides.append(Side(tree, folder / name))
            stack.callback(sides[-1].close)
            if highest_priority:
                priority.of_sessions(sides[-1].pids)
        rows: list[Row] = []
        warm = ""
        for name, script, connections in LOADS:
            if only and name not in only:
                continue
            for side in sides * (pair.WARM_S // SECONDS if script != warm else 0):
                side.load(script, _WARM_CONNECTIONS)
            warm = script
            pairs = [_round(sides, script, connections, number) for number in range(rounds)]
            measures = (*MEASURES, *TO_OUTCOME) if script == pair.COMMAND else MEASURES
            rows += [compared(f"{name}, {connections} at once", measure, pairs) for measure in measures]
            print(f"== measured {name}, {connections} at once", file=sys.stderr, flush=True)
        return rows


def _round(sides: Sequence[Side], script: str, connections: int, number: int) -> tuple[Row, Row]:
    order = (0, 1) if number % 2 == 0 else (1, 0)
    found = {at: sides[at].load(script, connections) for at in order}
    return found[0], found[1]


def compared(load: str, measure: str, pairs: Sequence[tuple[Row, Row]]) -> Row:
    """One line of the table: medians of both, and the ratio, this to the other, with its quartiles."""
    this, other = ([float(both[side][measure]) for both in pairs] for side in (0, 1))
    ratios = [mine / theirs for mine, theirs in zip(this, other, strict=True) if theirs]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3 or [float("nan")] * 3
    return {
        "load": load,
        "measure": f"{measure} CPU s/1000" if measure in ("front", "bridge", "broker") else measure,
        "this": statistics.median(this),
        "other": statistics.median(other),
        "ratio": middle,
        "quartiles": f"{low:.3f} to {high:.3f}",
    }


@contextlib.contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """A tree of a commit with its packages, under var/compare; kept for the next time. Raises CompareError."""
    commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}").strip()
    tree = ROOT / "var" / "compare" / commit[:12]
    if not (tree / ".git").exists():
        _git("worktree", "prune")
        _git("worktree", "add", "--detach", "--quiet", "--force", str(tree), commit)
    if not (tree / "scripts/tools/benchmark/pair.py").exists():
        raise CompareError(f"{revision} has no benchmark to be measured with")
    print(f"== setting up {commit[:12]}", file=sys.stderr, flush=True)
    broker = tree / "var" / "broker"
    if not broker.exists():
        shutil.copytree(ROOT / "var" / "broker", broker, symlinks=True)
    if subprocess.run(["bash", "-c", ". scripts/bootstrap"], cwd=tree, check=False).returncode != 0:
        raise CompareError(f"the packages of {revision} could not be set up; it says why above")
    yield tree


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise CompareError(done.stderr.strip().removeprefix("fatal: "))
    return done.stdout
