"""The front's settings: what an operator may write, and what is refused with its place."""

from pathlib import Path

import pytest

from dmz_front.settings import FrontSettings
from protocol.errors import ConfigurationError
from protocol.runtime.settings import load

LEAST = """\
[link]
brokers = ["mq:61616"]
ca = "ca.pem"
certificate = "front.pem"
key = "front.key"
[keys]
keyring = "front.keyring"
trusted = "trusted.json"
[store]
file = "front.sqlite3"
"""


def settings(tmp_path: Path, *more: str, head: str = "") -> FrontSettings:
    path = tmp_path / "front.toml"
    path.write_text(head + LEAST + "\n".join(more))
    return load(path, FrontSettings)


def test_little_is_enough(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert (found.name, found.region, found.http.host, found.http.port) == ("front-1", "main", "127.0.0.1", 8080)
    assert found.link.key == tmp_path / "front.key"
    assert found.store.address() == f"sqlite:///{tmp_path / 'front.sqlite3'}"
    assert found.limits.ip_rate == 0
    # at rest a bridge announces itself every few seconds: the front must be more patient than one miss
    assert found.delivery.presence_ttl_s > 5


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        (["[http]", "prot = 80"], 12, "http.prot"),
        (["[http]", "port = 70000"], 12, "http.port"),
        (["[http]", "port = 0"], 12, "http.port"),
        (["[http]", 'host = "a b"'], 12, "http.host"),
        (["[http]", "body_limit = 300000"], 12, "http.body_limit"),
        (["[http]", 'certificate = "a.pem"'], 12, "http.certificate: certificate and key belong together"),
        (["[http]", 'client_ca = "a.pem"'], 12, "http.client_ca: needs certificate and key"),
        (["[http]", "client_cert_header = true"], 12, "http.client_cert_header: needs trusted_proxies"),
        (["[http]", 'trusted_proxies = ["10.1.2.3/24"]'], 12, "host bits"),
        (["[http]", "port = 9101", "[metrics]", "port = 9101"], 14, "metrics.port: is http.port too"),
        (["[desk]", "enabled = true", "networks = []"], 13, "desk.networks: nobody is answered"),
        (["[limits]", "backlog = true"], 12, "limits.backlog: must be a number"),
        (["[limits]", "backlog = 0"], 12, "limits.backlog"),
        (["[limits]", "ip_rate = -1"], 12, "limits.ip_rate"),
        (["[limits]", "", "max_wait_s = 301"], 13, "limits.max_wait_s"),
        (["[delivery]", "drain_s = -1"], 12, "delivery.drain_s"),
        (["[metrics]", 'host = "0.0.0.0"'], 12, "loopback"),
        (["[log]", 'level = "loud"'], 12, "log.level"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, lines: list[str], line: int, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(tmp_path, *lines)
    assert str(caught.value).startswith(f"{tmp_path / 'front.toml'}:{line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["Front", "a.b", "a,b", "", "-a", "x" * 65])
def test_names_are_fit_for_queues(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"front\.toml:1: name: .*is not a name"):
        settings(tmp_path, head=f'name = "{name}"\n')


def test_https(tmp_path: Path) -> None:
    found = settings(tmp_path, "[http]", 'certificate = "tls/a.pem"', 'key = "tls/a.key"', 'client_ca = "/ca.pem"')
    assert found.http.certificate == tmp_path / "tls/a.pem"
    assert found.http.client_ca == Path("/ca.pem")
