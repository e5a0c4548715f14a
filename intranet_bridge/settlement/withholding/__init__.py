"""Withholding: a batch of bills that a bank is asked to charge, its file, the answer, and what follows of each line.

files.py is what the files say, and pure; what the bridge does with them is beside it.
"""
