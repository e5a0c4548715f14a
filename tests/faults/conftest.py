"""Fault tests bring their own testbeds: they break them."""
