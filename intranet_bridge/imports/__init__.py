"""An intermediate store: data of the marketing system that may be old by policy is fetched by the clock, page by page,
and the operations that tell of it are answered from it.
"""
