"""Payment channels as tests and demonstrations need them: they take money, notify, refund, and write statements.

All of it is invented but the forms: a notification is signed as the platform signs it, with keys made here, and a
statement is laid out as the platform's. What a channel's book says is the truth that a reconciliation must find.
"""
