"""Schemathesis, as it comes, on the API's own document: `./scripts/fuzz`."""
