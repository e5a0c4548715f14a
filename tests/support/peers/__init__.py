"""Marketing systems to run the adapter contract on, one for each kind of adapter and way of using it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from intranet_bridge.contract import Peer
from tests.support.peers.http import http_peer
from tests.support.peers.soap import soap_11_peer, soap_12_peer

PEERS: Mapping[str, Callable[[Path], AbstractContextManager[Peer]]] = {
    "http-json": http_peer,
    "soap-1.1": soap_11_peer,
    "soap-1.2": soap_12_peer,
}
"""Name → the peer, running while the context lasts; the folder is for its files. Raises pytest's Skipped where what it
needs is not installed."""
