"""The contract, on every kind of adapter: each brings a peer (tests/support/peers)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from intranet_bridge.contract import AdapterContract, Peer
from tests.support.peers import PEERS


class TestAdapters(AdapterContract):
    @pytest.fixture(params=PEERS)
    def peer(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Peer]:
        with PEERS[request.param](tmp_path, request) as peer:
            yield peer
