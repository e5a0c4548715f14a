"""From the broker: deliveries are taken apart; commands are opened, judged and written down, queries handed on sealed.

A message holds 1 to 64 envelopes. Each is judged by itself (`verdict`, a pure function; a query's slot asks it), and
a bad one goes to the dead letters alone. When a message is acknowledged:

- commands: every member is on our disk (inbox) or, if quarantined, on the broker's (receipt of its dead letter);
- queries: every member has been taken by a worker slot, or dropped.
"""
