"""The accountant's desk: what came, what differs, what is owed, and what waits for a person.

Who has one of the roles reads all of it. `settle` decides what one person may; `approve` is the second person, and
approves what is too much to happen by itself. Nobody is the second person of what they said themselves.
"""
