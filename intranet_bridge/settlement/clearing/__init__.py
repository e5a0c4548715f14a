"""Clearing: what each company is owed of a day, whether it was paid out, and whether it arrived."""
