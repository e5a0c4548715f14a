"""The pages of docs/reference and docs/zh/reference that are made of code: `python -m scripts.tools.reference`."""
