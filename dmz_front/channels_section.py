"""The `[channels]` tables of the front's configuration: payment channels that call this front."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from protocol.desk.settings import network
from protocol.runtime.applications import OF_THE_FRONT
from protocol.runtime.settings import Name, Section


class ChannelForm(StrEnum):
    """How a channel notifies, and what it is to be answered."""

    WECHAT_V3 = "wechat-v3"
    ALIPAY_RSA2 = "alipay-rsa2"
    SIMULATED = "simulated"


def _free(name: str) -> str:
    if name in OF_THE_FRONT:
        raise ValueError(f"{name} is a name that the front itself acts under")
    return name


class ChannelSection(Section):
    """A channel: it calls `POST /channels/NAME/notifications`."""

    form: Annotated[ChannelForm, Field(strict=False)]
    """How it notifies, and what it is to be answered"""
    application: Annotated[Name, AfterValidator(_free)]
    """Its notifications count as this application's; it needs no key"""
    networks: tuple[Annotated[str, AfterValidator(network)], ...] = ()
    """Where it calls from; anybody else is answered 403. None: from anywhere, for its signature is what counts"""
    notifications_a_minute: Annotated[float, Field(gt=0, le=10_000)] = 600
    """Of one address; beyond it comes a pause"""
    notifications_a_second: Annotated[float, Field(gt=0, le=10_000)] = 50
    """Of all addresses together: each that has the form is written down, whoever sent it"""
    wait_s: Annotated[float, Field(gt=0, le=4.5)] = 4
    """So long the bridge's answer is waited for: WeChat Pay takes 5 s for none"""


ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
