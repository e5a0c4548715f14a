"""The relay: files of platforms, from their SFTP servers or a folder here to the bridge, and from the bridge to them.

A part of the front's process, not a program of its own: it speaks for the front (its keys seal, its name has the
queues, its database and lease, its report and its log), and is nothing but a few tasks that stand still between two
looks. Who wants it apart from what the Internet talks to runs a second front for it, with a name of its own and HTTP on
loopback.
"""
