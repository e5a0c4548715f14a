"""A whole installation on one machine: certificates, keys, configuration and four processes.

The demo, the benchmark and the system tests all run on it. It imports nothing of the product: it installs and
runs it as an operator would, through its commands and its shipped configuration files.
"""
