"""When to try the next broker. Pure: the random number comes in as an argument."""


def delay(attempt: int, minimum: float, maximum: float, chance: float) -> float:
    """Seconds to wait before connection attempt `attempt` (0 is the first after a stable connection).

    Doubles from `minimum` to `maximum`; `chance` (0 ≤ chance < 1) spreads it over its upper half, so that the
    clients of a restarted broker do not return all at once.
    """
    return float(min(maximum, minimum * 2 ** min(attempt, 32))) * (0.5 + chance / 2)


def next_attempt(attempt: int, lasted: float, stable: float) -> int:
    """The attempt number after a connection that lasted `lasted` seconds (0 if it was never made).

    Only a connection that lasted `stable` seconds starts the count afresh: a broker that accepts and then
    closes at once (a refused role, a wrong version) must not be hammered.
    """
    return 0 if lasted >= stable else attempt + 1
