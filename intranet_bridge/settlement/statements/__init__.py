"""Statements of platforms and utilities, and what they mean beside our own books.

A file is opened (opening.py), read by its profile (profiles.py, reading.py) and accepted or refused whole
(verdicts.py); only rows of accepted files are matched (matching.py). Everything here is pure: files come as something
that can be opened again, days and times are given, and what follows is returned, never done.
"""
