"""The kind `sql`: an intermediate database between the bridge and the marketing system."""
