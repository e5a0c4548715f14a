"""What each front, and each application of it, may ask at most: a front stands in the DMZ and may be taken over."""
