"""The only code that knows STOMP. `port` is what the rest of the product sees of it."""
