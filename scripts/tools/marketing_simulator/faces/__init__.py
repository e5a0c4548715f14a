"""The same business through other doors: each module is one kind of interface over all `Interface`s."""
