"""Pushes: what the marketing system says unasked, to a bridge's `POST /v1/pushes`.

`plan` (how many, to whom) and `content` (what one says) are pure; `record` is the journal, durable before anything is
sent; `sender` sends, again and again until there is an answer; `control` is what tests ask.
"""
