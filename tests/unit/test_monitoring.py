"""What those who watch are given: alerts, dashboard and runbooks agree with the programs and with each other."""

import ast
import json
import os
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridgectl.status.trouble import Level, Trouble, runbook
from protocol.link.settings import LinkCounters
from scripts.tools import catalogue
from tests.support.command_lines import bridgectl_understands, command_lines, words
from tests.support.promtool import promtool

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "config/prometheus"
RUNBOOKS = ROOT / "docs/runbooks"
DASHBOARD = json.loads((ROOT / "config/grafana/dmz-bridge.json").read_text())
NAME = re.compile(r"\b((?:dmz_front|intranet_bridge)_[a-z_]+)\b")
RULES = [rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
TARGETS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


def published() -> set[str]:
    """Every name that a daemon's samples have, by its code."""
    names: set[str] = set()
    for folder in ("dmz_front", "intranet_bridge"):
        for module in (ROOT / folder).rglob("*.py"):
            names |= set(re.findall(rf'"({folder}_[a-z_]+)"', module.read_text()))
        names |= {f"{folder}_link_connected", f"{folder}_certificate_expiry_timestamp_seconds"}
        names |= {f"{folder}_link_{counter.name}_total" for counter in fields(LinkCounters)}
    return names


@pytest.mark.parametrize("expression", [*(rule["expr"] for rule in RULES), *TARGETS])
def test_what_is_asked_for_is_published(expression: str) -> None:
    for name in NAME.findall(expression):
        assert re.sub("_(bucket|sum|count)$", "", name) in published(), name


def test_the_alerts_fire_and_are_silent() -> None:
    assert "SUCCESS" in promtool("test", "rules", PROMETHEUS / "alerts_test.yml")


def test_every_alert_is_tested_both_ways() -> None:
    cases = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    asked = [(one["alertname"], bool(one["exp_alerts"])) for case in cases for one in case["alert_rule_test"]]
    for rule in RULES:
        assert {(rule["alert"], True), (rule["alert"], False)} <= set(asked), rule["alert"]


def test_the_dashboards_expressions_can_be_read(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(TARGETS)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(TARGETS)} rules found" in promtool("check", "rules", file)


def test_the_dashboards_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def troubles() -> Iterator[str]:
    """The keys of all troubles that `status` can show."""
    roles = ("front", "bridge")
    for rules in (ROOT / "bridgectl").rglob("*.py"):
        for node in ast.walk(ast.parse(rules.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Trouble":
                for role in roles:
                    yield from _keys(node.args[1], role)


def _keys(node: Any, role: str) -> list[str]:
    match node:
        case ast.Constant(value=str(key)):
            return [key]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_keys(body, role), *_keys(orelse, role)]
        case ast.JoinedStr(values=values):
            return ["".join(str(value.value) if isinstance(value, ast.Constant) else role for value in values)]
    raise AssertionError(ast.dump(node))


def page(key: str) -> str:
    """The name of a trouble's page."""
    return Path(runbook(Trouble(Level.WARNING, key, ""))).stem


@pytest.mark.parametrize("key", sorted(set(troubles())))
def test_every_trouble_has_a_runbook(key: str) -> None:
    assert (RUNBOOKS / f"{page(key)}.md").is_file()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_names_its_runbook(rule: dict[str, Any]) -> None:
    assert (ROOT / rule["annotations"]["runbook"]).is_file()


def test_no_runbook_is_of_nothing_and_all_are_listed() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    alerted = {Path(rule["annotations"]["runbook"]).stem for rule in RULES}
    assert pages == {page(key) for key in troubles()} | alerted
    assert set(re.findall(r"\]\(([a-z-]+)\.md\)", (RUNBOOKS / "README.md").read_text())) == pages


PAGES = [path for path in sorted(ROOT.glob("docs/**/*.md")) if ROOT / "docs/zh" not in path.parents]
"""Chinese pages have the lines of the English ones: test_languages.py."""
MORE_PAGES = [
    ROOT / name for name in ("README.md", "activemq/README.md", "certs/README.md", "config/nftables/README.md")
]
LINES = [(str(path.relative_to(ROOT)), line) for path in [*PAGES, *MORE_PAGES] for line in command_lines(path)]
DAEMONS = {
    "dmz-front": ["dmz_front/command_line.py"],
    "intranet-bridge": ["intranet_bridge/command_line.py", "intranet_bridge/trial/trial.py"],
}


@pytest.mark.parametrize(
    ("page", "line"), [(page, line) for page, line in LINES if re.match(r"bridgectl |\./scripts/ctl ", line)]
)
def test_what_a_page_says_to_run_is_understood(page: str, line: str) -> None:
    bridgectl_understands(words(line)[1:])


@pytest.mark.parametrize(("page", "line"), [(page, line) for page, line in LINES if line.split()[0] in DAEMONS])
def test_a_daemon_has_the_options_a_page_gives_it(page: str, line: str) -> None:
    daemon, *rest = words(line)
    code = "".join((ROOT / file).read_text() for file in [*DAEMONS[daemon], "protocol/runtime/migrate.py"])
    for option in (word for word in rest if word.startswith("--")):
        assert f'"{option.partition("=")[0]}"' in code, option


def test_no_page_looks_for_words_in_what_bridgectl_says() -> None:
    """It speaks the reader's language; what is the same in each is the exit code, `--json` and `--plugin`."""
    looks = [line for _, line in LINES if re.search(r"\b(bridgectl|scripts/ctl)\b[^|]*\|\s*(grep|awk|sed)\b", line)]
    assert [line for line in looks if not re.search(r"--(json|plugin|lang en)\b", line)] == []


OTHERS_UNITS = {"chrony", "nftables", "postgresql"}
"""Of the distribution, under the distribution's names."""
UNITS = {path.name for path in ROOT.glob("config/systemd/*")} | {path.stem for path in ROOT.glob("config/systemd/*")}


@pytest.mark.parametrize(
    ("page", "line"),
    [(page, line) for page, line in LINES if line.startswith("systemctl ") and line != "systemctl daemon-reload"],
)
def test_a_service_that_a_page_names_is_one_that_the_installation_has(page: str, line: str) -> None:
    named = [word for word in words(line)[2:] if not word.startswith("-") and word != "SIGKILL"]
    assert named
    assert set(named) <= UNITS | OTHERS_UNITS


def test_a_service_that_bridgectl_names_is_one_that_the_installation_has() -> None:
    said = "\n".join(str(message.id) for message in catalogue.written())
    named = set(re.findall(r"systemctl [a-z-]+ ([a-z-]+)", said))
    assert "dmz-bridge-broker" in named
    assert named <= UNITS | OTHERS_UNITS


@pytest.mark.parametrize(("page", "line"), [(page, line) for page, line in LINES if re.match(r"(\./)?scripts/", line)])
def test_a_script_that_a_page_runs_is_there(page: str, line: str) -> None:
    assert os.access(ROOT / words(line)[0], os.X_OK)
