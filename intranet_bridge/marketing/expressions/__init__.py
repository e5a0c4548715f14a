"""Expressions of the configuration, from the text to the value or where and why there is none."""
