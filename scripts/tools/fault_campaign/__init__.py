"""The fault campaign: see `./scripts/campaign --help`."""
