"""Commands: written down, sent to the region's one inbox, waited for a little."""
