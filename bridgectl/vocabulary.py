"""What bridgectl passes on from the daemons, and from what both share, for its translation: reasons in their reports,
refusals, objections to settings and files. They speak English. What is not listed here is shown as it came.
"""

from bridgectl.language import noted

ERRORS: tuple[str, ...] = (noted("is missing"),)
