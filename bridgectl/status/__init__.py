"""`bridgectl status`: what is seen from this host, what is wrong by that, and the screen that says so."""
