"""Signatures of callbacks, by the vectors of Standard Webhooks."""

import base64
from pathlib import Path

import pytest

from dmz_front.callbacks.signing import headers, secret_in
from protocol.errors import ConfigurationError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'


def test_the_vector_of_the_specification() -> None:
    secret = base64.b64decode(SECRET.removeprefix("whsec_"))
    assert headers(ID, AT, BODY, [secret]) == {
        "webhook-id": ID,
        "webhook-timestamp": str(AT),
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_secrets_are_changed_both_sign() -> None:
    first, second = b"a" * 24, b"b" * 24
    both = headers(ID, AT, BODY, [first, second])["webhook-signature"].split(" ")
    assert both == [headers(ID, AT, BODY, [one])["webhook-signature"] for one in (first, second)]


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_!!!", SECRET.removeprefix("whsec_"), "whsec_" + "AAAA" * 2, "密"]
)
def test_a_file_without_a_secret_is_refused_and_not_shown(text: str, tmp_path: Path) -> None:
    file = tmp_path / "callback.secret"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(ConfigurationError) as error:
        secret_in(file)
    assert str(file) in str(error.value) or error.value.file == str(file)
    assert not text or text not in str(error.value)


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "callback.secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="may be read by others"):
        secret_in(file)
    file.chmod(0o600)
    assert len(secret_in(file)) == 24
