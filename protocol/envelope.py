"""The sealed envelope: what one side says to the other, so that the broker between can neither read nor change it.

::

    offset  size
       0      1   version, 1
       1      1   kind: 1 request, 2 reply, 3 presence
       2    184   wrap ──┐
     186      2   n      │  length of the attributes
     188      n   attributes: id LF source LF type LF time LF subject LF traceparent LF deadline LF reply_to
                         │  UTF-8 without control characters; time and deadline in decimal, epoch ms
   188+n      8   counter of the message under its data key
   196+n      …   body, AES-256-GCM (NIST SP 800-38D), then its 16-byte tag
                  │      │  nonce = 4 zero bytes, counter        associated data = every byte before the counter
                  │      │
                  │      └─ wrap, the same in every envelope of a data key:
                  │            0    8   id of the sender's Ed25519 key      ┐
                  │            8    8   id of the receiver's X25519 key     │ HPKE info = label, version, these 32
                  │           16    8   created: first use, epoch ms        │
                  │           24    8   not_after: last use, epoch ms       ┘
                  └─────────  32   80   the data key: HPKE base mode (RFC 9180, X25519, HKDF-SHA256, AES-256-GCM)
                             112   64   Ed25519 (RFC 8032) over label, version and the 112 bytes above
                             176    8   zero, reserved

Integers are big-endian. A data key is random, belongs to one `Sealer`, seals at most 2²⁰ messages in at most an
hour, and is then forgotten by its sender. The wrap says who made it and for whom, so the envelope stands alone:
any process with the receiver's keyring opens it, today or days later, and remembers the data key by its wrap.

What an attacker who owns the broker can do: drop, delay, reorder, and repeat. Against repeating: `Opener` refuses
what is past its deadline or older than a week, `ReplayGuard` refuses a query's second arrival, and the inbox
answers a command's second arrival from its record.
"""
