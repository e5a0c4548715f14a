"""Hot data: answers of the marketing system that are kept for a while, in memory alone, and given again."""
