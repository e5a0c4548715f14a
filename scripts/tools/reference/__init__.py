"""The reference pages in docs/reference that are made of the code: `python -m scripts.tools.reference`."""
