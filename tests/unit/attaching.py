"""An operation that takes attachments."""

from protocol.operations import Kind, Operation
from protocol.operations.fields import AttachmentId, Attachments, Model


class Report(Model):
    """Says something, with files."""

    content: str
    files: Attachments = ()
    plan: AttachmentId | None = None


class Registered(Model):
    """It is."""

    work_order: str
    accepted_at: str


REPORT = Operation(
    name="report",
    kind=Kind.COMMAND,
    summary="Report something",
    request=Report,
    response=Registered,
    example={"content": "x"},
    scope="reports",
)
