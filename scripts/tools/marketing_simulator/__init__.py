"""A stand-in for a utility's intranet marketing system (营销系统), for the demo, the tests and the benchmark.

Read it as the data flows: `command_line` → `process` → `server` → `queries` / `work_orders` → `effects`.
What it knows about electricity is in `tariff` and `population`; what makes it an instrument of proof is in
`effects` (a durable journal that counts how often each request was applied) and `faults` (switches).
"""
