"""Customers' QR codes: the keys, the record of what was issued, verification, drawing, and whole sheets of accounts.

A code says an account number and where to go, and nothing else: no money, no name (codes.py). What decides about it is
here, inside: the DMZ sees a code only when somebody scans it, and asks.
"""
