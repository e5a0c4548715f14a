"""Marketing systems to run the adapter contract on, one for each kind of adapter and way of using it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from intranet_bridge.contract import Peer
from tests.support.peers.http import http_peer
from tests.support.peers.soap import soap_11_peer, soap_12_peer
from tests.support.peers.sql import mariadb_peer, postgres_peer, sqlite_peer

PeerOf = Callable[[Path, pytest.FixtureRequest], AbstractContextManager[Peer]]


def _alone(peer: Callable[[Path], AbstractContextManager[Peer]]) -> PeerOf:
    """One that needs no server of the session's."""
    return lambda folder, _request: peer(folder)


PEERS: Mapping[str, PeerOf] = {
    "http-json": _alone(http_peer),
    "soap-1.1": _alone(soap_11_peer),
    "soap-1.2": _alone(soap_12_peer),
    "sql-sqlite": sqlite_peer,
    "sql-postgresql": postgres_peer,
    "sql-mariadb": mariadb_peer,
}
"""Name → the peer, running while the context lasts; the folder is for its files, the request for servers that a session
has once. Raises pytest's Skipped where what it needs is not installed."""
