"""How money is written: whole fen inside, yuan with two decimals for people. Pure."""


def text(fen: int) -> str:
    """An amount in fen as yuan: `-4500` is `-45.00`."""
    yuan, rest = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{yuan}.{rest:02}"
