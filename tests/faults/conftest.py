"""Fault tests bring their own stands: they break them."""
