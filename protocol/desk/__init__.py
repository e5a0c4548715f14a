"""What the desks of both daemons have in common: staff and their log-in, sessions, the frame of pages, strict headers.

Server-rendered, without script. A desk brings its pages (pages.py `Page`), templates and words.
"""
