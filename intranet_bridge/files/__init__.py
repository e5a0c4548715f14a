"""Files across the boundary: whole statements and batches, received from relays and handed to them."""
