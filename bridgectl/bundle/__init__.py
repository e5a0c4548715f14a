"""`bridgectl bundle`: what a vendor or a colleague needs to see of this host, without its secrets."""
