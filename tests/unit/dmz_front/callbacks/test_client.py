"""What is made of a receiver's answer."""

import pytest

from dmz_front.callbacks.client import Answer, _judged

MANY = "9" * 20


@pytest.mark.parametrize(
    ("retry_after", "pause_s"),
    [
        ("7", 7.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("86400", 3_600.0),
        ("", 0.0),
        ("soon", 0.0),
        (MANY, 0.0),
        (f"Thu, 01 Jan {MANY} 00:00:00 GMT", 0.0),
        (f"Thu, 01 Jan 2026 00:00:00 +{MANY}", 0.0),
    ],
)
def test_a_pause_is_taken_from_what_can_be_read_and_nothing_a_receiver_says_is_an_error(
    retry_after: str, pause_s: float
) -> None:
    assert _judged(503, retry_after, 10.0) == Answer(503, "HTTP 503", pause_s)
