"""Two fronts that count together, by a real server; and one whose server is away."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridgectl import certificate_files
from dmz_front.admission.addresses import Addresses
from dmz_front.admission.allowances import Allowances
from dmz_front.admission.shared import Shared, client
from dmz_front.problems.details import Problem
from dmz_front.settings import AddressesSection, AdmissionStoreSection, LimitsSection
from protocol.errors import ConfigurationError
from protocol.messages import Role
from protocol.runtime.control import Peer
from protocol.runtime.metrics import Sample
from tests.support.redis_server import RedisServer, Unavailable
from tests.unit.dmz_front.harness import Harness

pytestmark = pytest.mark.anyio

LIMITS = LimitsSection(ip_rate=1, burst_s=10, addresses=AddressesSection(strikes=2, penalty_s=60))
ADDRESS = "203.0.113.7"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    try:
        server = RedisServer(tmp_path_factory.mktemp("redis"))
    except Unavailable as why:
        pytest.skip(str(why))
    server.start()
    yield server
    server.stop()


class Front:
    """What of a front counts. Its clock is its own, and stands still."""

    def __init__(self, server: RedisServer, start: float, **more: Any) -> None:
        self.now = start
        quotas = cast(Any, SimpleNamespace(use=lambda zone: None))
        self.allowances = Allowances(LIMITS, quotas, now=lambda: self.now)
        self.addresses = Addresses(LIMITS, self.allowances, now=lambda: self.now)
        settings = {"url": server.url, "password_file": server.password_file, "timeout_s": 10} | more
        self.shared = Shared(
            AdmissionStoreSection(**settings), self.allowances.rates, self.addresses, self.pseudonym, lambda: 1,
            now=lambda: self.now,
        )  # fmt: skip

    @staticmethod
    def pseudonym(text: str) -> str:
        return text[::-1]

    def let_through(self, key: str, rate: float, most: int = 100) -> int:
        """How many requests at once."""
        return sum(self.allowances.rates.wait(key, rate, self.now) == 0 for _ in range(most))

    def samples(self) -> dict[tuple[str, str], float]:
        found: list[Sample] = list(self.shared.samples())
        return {(name, labels.get("outcome", "")): float(cast(float, value)) for name, _, labels, value in found}


@pytest.fixture
async def fronts(server: RedisServer) -> Any:
    one, other = Front(server, 1000), Front(server, 500_000)
    yield one, other
    await one.shared._redis.flushall()
    for front in (one, other):
        await front.shared.close()


async def exchange(*fronts: Front) -> None:
    for front in fronts:
        assert await front.shared.try_exchange(), front.shared.trouble


async def test_a_rate_is_one_for_both(fronts: tuple[Front, Front]) -> None:
    one, other = fronts
    assert one.let_through("application wechat", 2.0, 12) == 12
    assert other.let_through("application wechat", 2.0, 3) == 3
    await exchange(one, other, one)
    assert one.let_through("application wechat", 2.0) + 15 == 20
    await exchange(one, other)
    assert other.let_through("application wechat", 2.0) == 0
    assert other.let_through("application alipay", 2.0) == 20


async def test_what_was_used_while_an_answer_was_on_its_way_counts(fronts: tuple[Front, Front]) -> None:
    one, other = fronts
    asked = one.shared._eval

    async def slow(*words: Any) -> Any:
        found = await asked(*words)
        if "GET" in words[0]:
            assert one.let_through("application wechat", 2.0, 5) == 5
        return found

    assert one.let_through("application wechat", 2.0, 10) == 10
    one.shared._eval = slow  # type: ignore[assignment, method-assign]
    await exchange(one)
    assert one.let_through("application wechat", 2.0) == 5
    one.shared._eval = asked  # type: ignore[method-assign]
    assert other.let_through("application wechat", 2.0, 1) == 1
    await exchange(one, other)
    assert other.let_through("application wechat", 2.0) == 0


async def test_accounts_and_addresses_are_not_in_the_store_by_their_names(fronts: tuple[Front, Front]) -> None:
    one, _ = fronts
    one.let_through("account wechat 3210000000001", 2.0)
    await exchange(one)
    keys = str(await one.shared._redis.keys("*"))
    assert "1000000000123 tahcew tnuocca" in keys  # by the pseudonym
    assert "3210000000001" not in keys


def pause(front: Front) -> None:
    front.let_through(f"address {ADDRESS}", 1.0)
    for _ in range(2):
        with pytest.raises(Problem):
            front.addresses.check(ADDRESS, "bill-query")
    assert front.addresses.left_alone(ADDRESS)


async def test_a_pause_is_kept_by_both_and_lifted_at_both(fronts: tuple[Front, Front]) -> None:
    one, other = fronts
    pause(one)
    assert not other.addresses.left_alone(ADDRESS)
    await exchange(one, other)
    [known] = other.addresses.paused()
    assert known["address"] == ADDRESS
    assert 55 <= known["seconds"] <= 60
    other.now += 1
    assert other.addresses.lift(ADDRESS)
    await exchange(one)
    assert one.addresses.left_alone(ADDRESS), "not told yet"
    one.now += 1
    await exchange(other, one, other)
    assert not one.addresses.left_alone(ADDRESS)
    assert not other.addresses.left_alone(ADDRESS)


async def test_one_that_is_paused_anew_after_it_was_lifted_stays_so(fronts: tuple[Front, Front]) -> None:
    one, other = fronts
    pause(one)
    await exchange(one, other)
    one.now += 1
    one.addresses.lift(ADDRESS)
    await exchange(one, other)
    one.now += 1
    pause(one)
    await exchange(one, other, one)
    assert one.addresses.left_alone(ADDRESS)
    assert other.addresses.left_alone(ADDRESS)


async def test_a_nonce_counts_at_one_front_alone(fronts: tuple[Front, Front]) -> None:
    one, other = fronts
    await exchange(one, other)
    assert await one.shared.first(b"\x01" * 16, 10)
    assert not await other.shared.first(b"\x01" * 16, 10)
    assert await other.shared.first(b"\x02" * 16, 10)
    assert 9_000 < await one.shared._redis.pttl(f"dmz-bridge:nonce:{'01' * 16}") <= 10_000


async def test_a_server_that_is_away_stops_nothing_and_is_said_once(
    tmp_path: Path, server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    away = RedisServer(tmp_path)
    front = Front(away, 1000)
    try:
        assert not await front.shared.try_exchange()
        assert not await front.shared.try_exchange()
        assert front.let_through("application wechat", 2.0) == 20
        assert await front.shared.first(b"\x01" * 16, 10)
        assert front.samples()["dmz_front_admission_store_up", ""] == 0
        assert front.samples()["dmz_front_admission_exchanges_total", "failed"] == 2
        assert front.shared.report().trouble
        away.start()
        assert await front.shared.try_exchange(), front.shared.trouble
        assert front.shared.report().trouble == ""
        assert front.samples()["dmz_front_admission_store_up", ""] == 1
        away.stop()
        assert not await front.shared.try_exchange()
        assert await front.shared.first(b"\x01" * 16, 10)
    finally:
        away.stop()
        await front.shared.close()
    said = capsys.readouterr().out
    assert (said.count("admission-store-lost"), said.count("admission-store-reached")) == (2, 1)
    assert away.password not in said


async def test_a_wrong_password_is_trouble_and_not_shown(server: RedisServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_text("something else\n")
    front = Front(server, 1000, password_file=file)
    try:
        assert not await front.shared.try_exchange()
        assert "password" in front.shared.trouble
        assert "something else" not in front.shared.trouble
    finally:
        await front.shared.close()


async def test_by_tls_to_a_server_that_is_known_alone(tmp_path: Path) -> None:
    for name in ("ours", "other"):
        certificate_files.init(tmp_path / name, {Role.BROKER: ["broker-1"], Role.FRONT: ["front-1"]})
    certs = tmp_path / "ours"
    files = {"cert": "broker.pem", "key": "broker.key", "ca-cert": "ca.pem"}
    server = RedisServer(tmp_path, more=tuple(f"tls-{what}-file {certs / file}" for what, file in files.items()))
    server.start()
    try:
        url = server.url.replace("redis:", "rediss:")
        shown = {"certificate": certs / "front.pem", "key": certs / "front.key"}
        for ca, reached in ((certs / "ca.pem", True), (tmp_path / "other" / "ca.pem", False)):
            front = Front(server, 1000, url=url, ca=ca, **shown)
            assert await front.shared.try_exchange() is reached, front.shared.trouble
            await front.shared.close()
        assert "certificate" in front.shared.trouble.lower()
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://front:secret@host", "set user and password_file"),
        ("http://host", "redis://HOST:PORT/NUMBER"),
        ("redis://host/db", "the number of the database"),
        ("redis://host:99999", "the port is not one"),
    ],
)
def test_an_address_that_cannot_be_used(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdmissionStoreSection(url=url)


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, server: RedisServer) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis.asyncio", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'dmz-bridge\[redis\]'"):
        Front(server, 1)


async def test_a_front_that_is_configured_so_counts_by_it_and_reports_it(
    harness: Harness, server: RedisServer, fronts: tuple[Front, Front]
) -> None:
    harness.options = {"admission": {"store": {"url": server.url, "password_file": server.password_file}}}
    await harness.start()
    front = harness.front
    assert front.api.shared is not None
    await harness.grant("kiosk", "*", rate=0.5)
    assert (await harness.ask(app="kiosk")).status_code == 200
    assert await front.api.shared.try_exchange(), front.api.shared.trouble
    report = await front.reporter.report({}, Peer(0, 1))
    assert report["admission_store"]["trouble"] == ""  # type: ignore[index]
    assert ("dmz_front_admission_store_up", 1.0) in [(name, value) for name, _, _, value in front.samples()]
    other, _ = fronts
    key = "application kiosk"
    other.shared._pseudonym = front.keyring.pseudonym
    assert other.let_through(key, 0.5, 1) == 1
    await exchange(other)
    assert other.let_through(key, 0.5) == 3, "of five; one is used here, one there"
    await front.api.shared.close()


def test_tls_files_are_looked_at_before_the_first_use(tmp_path: Path) -> None:
    section = AdmissionStoreSection.model_validate({"url": "rediss://h:1/0", "ca": str(tmp_path / "none.pem")})
    with pytest.raises(ConfigurationError, match=r"none\.pem: cannot be read"):
        client(section)
