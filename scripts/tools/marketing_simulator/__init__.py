"""A simulator of a utility's intranet marketing system (营销系统), for the demo, the tests and the benchmark.

In the order of the data flow: `command_line` → `process` → `server` → `queries` / `work_orders` → `effects`.
The electricity business is in `tariff` and `population`; what tests need is in `effects` (a durable journal that
counts how often each request was applied), `faults` (switches) and `control` (their HTTP interfaces).
`pushing` is what it says unasked.
"""
