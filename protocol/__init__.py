"""What both sides of the boundary agree on. The only package both daemons import; it imports neither."""
