"""A whole installation on this machine: certificates, keys, configuration, the four processes.

The demo, the benchmark and the system tests all stand on it. It imports nothing of the product: it installs and
runs it as an operator would, through its commands and its shipped configuration files.
"""
