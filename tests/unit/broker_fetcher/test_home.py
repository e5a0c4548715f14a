"""Which broker is found in a folder, and which versions are warned of."""

from pathlib import Path

import pytest

from scripts.tools.broker_fetcher.console import BrokerError
from scripts.tools.broker_fetcher.home import home_from_directory, version_in, warn_if_unsafe


def test_an_unpacked_distribution(tmp_path: Path) -> None:
    for name in ("lib/activemq-broker-6.3.1.jar", "lib/optional/spring-core.jar", "lib/web/jetty.jar"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    home = home_from_directory(tmp_path)
    assert (home.kind, home.version) == ("home", "6.3.1")
    assert [Path(jar).name for jar in home.class_path] == ["activemq-broker-6.3.1.jar", "spring-core.jar"]


def test_a_folder_without_a_broker(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="not an ActiveMQ"):
        home_from_directory(tmp_path)


def test_a_version_no_jar_tells() -> None:
    assert version_in([Path("activemq-broker.jar")]) == "unknown"


@pytest.mark.parametrize(
    ("version", "warned"),
    [("6.2.8", True), ("6.2.9", False), ("5.17.2", True), ("5.19.10", False), ("7.0.0", False), ("unknown", False)],
)
def test_a_version_with_known_vulnerabilities(version: str, warned: bool, capsys: pytest.CaptureFixture[str]) -> None:
    warn_if_unsafe(version)
    assert ("known vulnerabilities" in capsys.readouterr().err) is warned
