"""Notices to applications: written down as they come (ledger.py, intake.py), delivered by callbacks (deliverer.py) and
to who asks (http/notices.py).
"""
