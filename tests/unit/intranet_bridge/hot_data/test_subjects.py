"""What requests and answers tell of."""

from intranet_bridge.hot_data.subjects import NAMES, of_answer, of_request, tells_more
from protocol.operations import CATALOGUE


def test_a_command_and_the_answers_it_changes_name_the_same() -> None:
    assert {"account", "work_order", "application"} <= NAMES
    cancel = CATALOGUE["work-order-cancel"]
    by_number = of_request(cancel.requests.validate_python(cancel.example))
    listed = CATALOGUE["work-order-list"]
    answer = b'{"account":"3210000000001","orders":[{"work_order":"%b","account":null}]}'
    number = str(cancel.example["work_order"])
    assert number in by_number & of_answer(answer % number.encode())
    assert of_request(listed.requests.validate_python(listed.example)) == {listed.example["account"]}


def test_answers_that_name_more_than_their_requests_are_known() -> None:
    assert tells_more("work-order-list")
    assert not tells_more("bill-query")
    assert not tells_more("news-list")
