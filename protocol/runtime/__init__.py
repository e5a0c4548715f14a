"""What both daemons stand on: settings, logs, metrics, clock, store, outbox, and the running of a daemon."""
