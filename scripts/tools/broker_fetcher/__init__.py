"""Fetches, starts and stops an ActiveMQ with the configuration of activemq/: see `./scripts/broker --help`."""
