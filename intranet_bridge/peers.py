"""What the bridges of two regions say to each other: sealed between them, whatever carries it.

    request   id, operation, predecessor; for which region, when it was recorded, the body
    reply     id, operation; for which region, the outcome

Each says from which region it is, in its source, and for which; a key counts for its own region's messages alone. Who
owns the broker, or a front on the way, can delay and repeat them, and nothing else.
"""

import re
from collections.abc import Mapping
from dataclasses import field

from intranet_bridge.settlement_sections.peers import PeerSection
from protocol.envelope import Kind, Opened, Opener, Sealer
from protocol.errors import ConfigurationError, Malformed, NotAdmitted, UnknownKey, WrongKind
from protocol.keyring import KEY_ID_BYTES, Keyring
from protocol.lifecycle import REPORTED
from protocol.messages import ID, LOWEST_VERSION, Attributes, Reply, Role, is_front_id
from protocol.peers import between
from protocol.runtime.clock import Clock
from protocol.runtime.keyfiles import read_public
from protocol.values import immutable

_SENDER = slice(2, 2 + KEY_ID_BYTES)
"""Where an envelope names the key that it is signed with."""
_TIME = re.compile(rb"[0-9]{1,15}")
_NAMES_PREDECESSOR = 2
"""The first wire version that can say `after`."""


@immutable
class PeerRequest:
    """A command that another region's bridge asks for."""

    id: str
    operation: str
    region: str
    """Of who asks."""
    source: str
    recorded_at: int
    """Epoch ms, there."""
    after: str | None
    """Id of the unfinished command of the same ordering key that was recorded last before it, there; None: there is
    none, and it follows what has arrived."""
    allowed: bool
    """Our configuration lets it."""
    body: bytes = field(repr=False)


@immutable
class PeerReply:
    """What became of a command that we asked for."""

    region: str
    """Of who was asked."""
    reply: Reply


class Peers:
    """The bridges of other regions that the configuration names."""

    def __init__(
        self, own: Keyring, section: Mapping[str, PeerSection], *, name: str, region: str, clock: Clock
    ) -> None:
        """`name`, `region`: of this bridge. Raises ConfigurationError, as `use`."""
        self._name, self._region, self._clock = name, region, clock
        self.use(own, section)

    def use(self, own: Keyring, section: Mapping[str, PeerSection]) -> None:
        """Go by these from now on. Raises ConfigurationError for a file that cannot be used."""
        made: dict[str, _Peer] = {}
        for region, peer in section.items():
            try:
                asking, asked = between(own, read_public(peer.trusted))
            except ConfigurationError as error:
                if error.file == str(peer.trusted):
                    raise
                raise ConfigurationError(f"settlement.peers.{region}: {error}", file=str(peer.trusted)) from None
            made[region] = _Peer(
                Sealer(asking, Role.BRIDGE), Opener(asking), Sealer(asked, Role.FRONT), Opener(asked),
                frozenset(asking.senders), frozenset(peer.operations),
            )  # fmt: skip
        self._peers = made
        self._ids = frozenset().union(*(peer.keys for peer in made.values()))

    def use_or_tell(self, own: Keyring, section: Mapping[str, PeerSection]) -> list[str]:
        """The same at a reload: a file that cannot be used leaves all as before. Returns what to tell of it."""
        try:
            self.use(own, section)
        except ConfigurationError as error:
            return [f"{error}: as before until this is put right, and reloaded"]
        return []

    def __contains__(self, region: str) -> bool:
        return region in self._peers

    def signed(self, envelope: bytes) -> bool:
        """Whether an envelope says that a peer signed it."""
        return envelope[_SENDER] in self._ids

    def request(self, region: str, id: str, operation: str, recorded_at: int, body: bytes, after: str = "") -> bytes:
        """Sealed for a region's bridge. `after`: its predecessor, if it has one. Raises UnknownKey for a region that is
        not configured (any more).
        """
        now, version = self._clock(), _NAMES_PREDECESSOR if after else LOWEST_VERSION
        about = Attributes(id, f"{self._region}/{self._name}", operation, now, after=after, version=version)
        payload = f"{region}\n{recorded_at}\n".encode() + body
        return self._of(region).ask.seal(Kind.REQUEST, about, payload, now_ms=now)

    def reply(self, region: str, reply: Reply) -> bytes:
        """The same for what became of one of its commands."""
        now, about = self._clock(), reply.attributes
        attributes = Attributes(about.id, f"{self._region}/{self._name}", about.type, now)
        payload = region.encode() + b"\n" + reply.payload()
        return self._of(region).answer.seal(Kind.REPLY, attributes, payload, now_ms=now)

    def opened(self, envelope: bytes) -> PeerRequest | PeerReply:
        """What a peer says. Raises EnvelopeError for anything that no peer says to us."""
        kind, said = envelope[1:2], None
        for region, peer in self._peers.items():
            if envelope[_SENDER] in peer.keys:
                opener = peer.of_answers if kind == bytes([Kind.REPLY]) else peer.of_requests
                said = opener.open(envelope, now_ms=self._clock())
                if said.attributes.source.partition("/")[0] == region:
                    return self._read(region, peer, said)
        raise NotAdmitted("no peer of that region signs with this key") if said else UnknownKey("no peer's key")

    def _read(self, region: str, peer: "_Peer", said: Opened) -> PeerRequest | PeerReply:
        about = said.attributes
        to, _, rest = said.payload.partition(b"\n")
        if to != self._region.encode():
            raise NotAdmitted("it is for another region")
        if not _own(about.id):
            raise Malformed("the id is not one of a bridge's own commands")
        if said.kind is Kind.REPLY:
            reply = Reply.from_payload(about, rest)
            if reply.state not in REPORTED:
                raise Malformed("not an outcome")
            return PeerReply(region, reply)
        if said.kind is not Kind.REQUEST:
            raise WrongKind("neither a request nor a reply")
        time, _, body = rest.partition(b"\n")
        if not _TIME.fullmatch(time):
            raise Malformed("it does not say when it was recorded")
        if about.after and not _own(about.after):
            raise Malformed("its predecessor is not one of a bridge's own commands")
        allowed = about.type in peer.operations
        return PeerRequest(about.id, about.type, region, about.source, int(time), about.after or None, allowed, body)

    def _of(self, region: str) -> "_Peer":
        peer = self._peers.get(region)
        if peer is None:
            raise UnknownKey(f"settlement.peers: there is no {region}")
        return peer


def _own(id: str) -> bool:
    return ID.fullmatch(id) is not None and not is_front_id(id)


@immutable
class _Peer:
    ask: Sealer
    of_answers: Opener
    answer: Sealer
    of_requests: Opener
    keys: frozenset[bytes]
    """Ids of those that its bridges sign with."""
    operations: frozenset[str]
