"""The operator's tool: certificates and keys, queues and dead letters, tracing and diagnosis."""
