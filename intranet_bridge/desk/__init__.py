"""The bridge's desk: pages for staff of the utility, on a listener of their own. Which pages there are is a list by
role (protocol/desk/pages.py `Page`): texts to publish are in ``texts``; further rooms bring further pages.
"""
