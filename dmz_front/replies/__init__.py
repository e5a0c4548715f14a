"""What comes back from the bridges: replies and presence, and what an HTTP caller is told of them."""
