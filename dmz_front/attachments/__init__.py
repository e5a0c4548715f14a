"""Attachments: taken in parts, sealed as they come, handed to the bridge before or after a command names them."""
