"""What is counted of requests, by day."""
