"""Keys between the bridges of two regions. Pure.

Each region has keys of its own, and its bridges share them. Towards another region's bridge a bridge is what a front is
towards its own: it signs requests with its own signing key and seals them to the other's sealing key; the other seals
the replies to its. So the envelope is the same, and no key is new: who is asked needs the `trusted.json` of who asks,
and the other way round. A bridge that two regions share keys with opens nothing of itself: an envelope between bridges
names the region it is from and the region it is for, and both are looked at (`intranet_bridge/peers.py`).
"""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from protocol.keyring import Algorithm, Keyring, KeyState, TrustedFile, parse_file
from protocol.messages import Role


def between(own: Keyring, trusted: bytes) -> tuple[Keyring, Keyring]:
    """The keyrings for what we ask a peer, as a front would, and for what it asks us. `trusted`: its `trusted.json`, of
    which the bridges' keys count. Raises ConfigurationError for a damaged file.
    """
    keys = [key for key in parse_file(TrustedFile, trusted, "trusted").keys if key.role is Role.BRIDGE]
    signing = {
        bytes.fromhex(key.id): Ed25519PublicKey.from_public_bytes(key.public)
        for key in keys
        if key.algorithm is Algorithm.SIGNING
    }
    sealing = next(key for key in keys if key.algorithm is Algorithm.SEALING and key.state is KeyState.ACTIVE)
    sealed_to = bytes.fromhex(sealing.id), X25519PublicKey.from_public_bytes(sealing.public)

    def towards(role: Role, peer: Role) -> Keyring:
        return replace(
            own, role=role, senders={id: (peer, key) for id, key in signing.items()}, receivers={(peer, ""): sealed_to},
            front_groups=frozenset({""}), sender_groups=dict.fromkeys(signing, ""), foreign=frozenset(), group="",
            groups=frozenset({""}),
        )  # fmt: skip

    return towards(Role.FRONT, Role.BRIDGE), towards(Role.BRIDGE, Role.FRONT)
