"""Settlement: what decides about money. It is here, inside; the DMZ keeps no order, no statement and no books."""
