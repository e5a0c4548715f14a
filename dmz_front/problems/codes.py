"""Every code a caller can get, as it is published: title, HTTP statuses, what it means and what to do about it.

A code is in a problem (RFC 9457) or in the `failure` of a command's status document. Codes of *refusals* are not
here: those are the marketing system's business answers, and each bridge's configuration names its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.operations import Kind

_QUERY, _COMMAND = (Kind.QUERY,), (Kind.COMMAND,)


@dataclass(frozen=True, slots=True)
class Code:
    """One code. Its page is `/problems/{code}`."""

    title: str
    statuses: tuple[int, ...]
    """HTTP statuses of its problem; none for one that only a command's status document has."""
    meaning: str
    remedy: str
    """What the caller can do."""
    kinds: tuple[Kind, ...] = (Kind.QUERY, Kind.COMMAND)
    """The operations whose `POST /v1/{operation}` may answer with it, or whose commands' status documents may."""
    attachments: bool = False
    """Only where the operation takes attachments."""
    guessed: bool = False
    """Only where something can be guessed at."""


_AGAIN = "Repeat the request after `Retry-After`; a command with the same Idempotency-Key."

CODES: Mapping[str, Code] = {
    "malformed-json": Code(
        "The body is not JSON",
        (400,),
        "The body could not be parsed as JSON in UTF-8; `detail` says where.",
        "Mend the body. Nothing was done.",
    ),
    "malformed-header": Code(
        "A header cannot be understood",
        (400,),
        "`detail` names the header (or a part of the path or query) and what it may be.",
        "Mend the header. Nothing was done.",
    ),
    "malformed-request": Code(
        "This is not an HTTP request",
        (400,),
        "What arrived breaks the rules of HTTP/1.1, or was TLS where plain HTTP is spoken.",
        "Look at what your client, or a proxy between, really sends. The connection is closed.",
    ),
    "idempotency-key-missing": Code(
        "A command needs an Idempotency-Key header",
        (400,),
        "Without the key a repeated command could not be told from a second one.",
        "Send `Idempotency-Key:` with a value of your own for each order, and keep it for repetitions.",
        kinds=_COMMAND,
    ),
    "unauthenticated": Code(
        "No valid application key",
        (401,),
        "There is no `Authorization: Bearer` header, or its key is unknown, expired or revoked; or no signature by a "
        "key that is registered here.",
        "Ask the operator of this front for a key.",
    ),
    "signature-invalid": Code(
        "The request's signature is not taken",
        (401,),
        "A signature (RFC 9421) by a known key does not cover all it must, is too old, was used before, or is not one "
        "of this request; `detail` says which. Nothing was done.",
        "Sign each request anew, with the time and a nonce of its own; a command keeps its Idempotency-Key.",
    ),
    "signature-required": Code(
        "This application has to sign its requests",
        (401,),
        "The operator set that the application's key alone is not enough.",
        "Sign the request (`Signature-Input` and `Signature`, RFC 9421), and leave `Authorization` out.",
    ),
    "certificate-required": Code(
        "This application has to show its client certificate",
        (401,),
        "The operator set that the application's key or signature is not enough: its connections have to show one of "
        "the certificates that are registered for it.",
        "Connect with the client certificate, or ask the operator to register it; `detail` says which was shown.",
    ),
    "forbidden-scope": Code(
        "The application key lacks the scope of this operation",
        (403,),
        "The key is valid, but was not given for this operation, or for a field of the request; `detail` names the "
        "scope.",
        "Ask the operator for that scope. `GET /v1/operations` lists what the key may use.",
    ),
    "forbidden-network": Code(
        "The application key may not be used from this address",
        (403,),
        "The key is bound to networks, and the caller's address is in none of them.",
        "Call from there, or ask the operator to add your network.",
    ),
    "not-admitted": Code(
        "The intranet does not admit this application, or not for this operation",
        (403,),
        "The key is valid at the front, but the bridge's own configuration does not name the front or the application, "
        "or does not let it ask for this. A command that failed with this code was surely not applied.",
        "Ask the operator of the bridge. Repeating does not help.",
    ),
    "unknown-operation": Code(
        "There is no such operation",
        (404,),
        "No operation of the catalogue has this name.",
        "`GET /v1/operations` lists what there is.",
        kinds=(),
    ),
    "unknown-request": Code(
        "There is no such request",
        (404,),
        "No command with this id was accepted from this application, or it is so old that it is forgotten.",
        "Compare the id with the `Request-Id` or `Location` of the command's answer.",
        kinds=(),
    ),
    "record-lost": Code(
        "The record of this request was lost",
        (410,),
        "The front's database was restored from a backup that was made before the request came. It may well have been "
        "done: it was accepted if its answer was 200 or 202.",
        "Do not order again under another Idempotency-Key. Repeat it with the same one: what was done is not done "
        "again without a person's word. Or ask the operator with the request's id.",
        kinds=(),
    ),
    "unknown-attachment": Code(
        "There is no such attachment",
        (404,),
        "No upload with this id was begun by this application, or it has expired: unfinished ones after some hours, "
        "whole ones that no command names after a day, unless the operator set it otherwise.",
        "Begin a new upload with `POST /v1/attachments`.",
        kinds=(),
    ),
    "not-found": Code(
        "There is nothing at this path",
        (404,),
        "The path is not one of this API.",
        "Compare it with `/openapi.json`.",
        kinds=(),
    ),
    "method-not-allowed": Code(
        "The method is not allowed here",
        (405,),
        "The path exists, but not for this method; `Allow` says for which.",
        "Use one of those.",
        kinds=(),
    ),
    "headers-too-slow": Code(
        "The headers did not arrive in time",
        (408,),
        "The request's head was not complete within the front's time limit. The connection is closed.",
        "Send it again on a new connection.",
    ),
    "body-too-slow": Code(
        "The body did not arrive in time",
        (408,),
        "The body was not complete within the front's time limit. Nothing was done; the connection is closed.",
        "Send it again on a new connection.",
    ),
    "idempotency-key-in-flight": Code(
        "A request with this Idempotency-Key is being answered right now",
        (409,),
        "The same command is already on its way, and another caller waits for its outcome.",
        "Ask at `Location` for its status, or repeat it a little later.",
        kinds=_COMMAND,
    ),
    "upload-offset": Code(
        "The part does not begin where the upload stands",
        (409,),
        "It was sent already, or an earlier one is missing. `Upload-Offset` and `expected_offset` say where to go on; "
        "at the length of the file it is whole. Nothing of the part was taken.",
        "Go on from there. `HEAD` on the attachment tells the offset at any time.",
        kinds=(),
    ),
    "body-too-large": Code(
        "The body is too large",
        (413,),
        "`detail` says how many bytes are allowed.",
        "Send less. Nothing was done.",
    ),
    "unsupported-media-type": Code(
        "The body must be application/json",
        (415,),
        "The `Content-Type` is not JSON in UTF-8, or the body has a `Content-Encoding`.",
        "Send `Content-Type: application/json` and the plain body.",
    ),
    "expectation-failed": Code(
        "What the Expect header asks for cannot be met",
        (417,),
        "The front meets `Expect: 100-continue` and nothing else.",
        "Send the request without the header.",
    ),
    "invalid-request": Code(
        "The body does not fit the operation's schema",
        (422, 502),
        "With 422, `errors` names each field and what is wrong with it. With 502, or as a command's failure, it was "
        "the bridge that did not accept the body: front and bridge have different versions of the catalogue.",
        "With 422, mend the fields. Otherwise tell the operator. Nothing was done.",
    ),
    "idempotency-key-reused": Code(
        "This Idempotency-Key was used with another request",
        (422,),
        "The key belongs to an earlier command whose body says something else.",
        "Use a new key for a new order, and the old body for a repetition.",
        kinds=_COMMAND,
    ),
    "part-too-small": Code(
        "The part is too small",
        (422,),
        "Only the last part of a file may be so small; `detail` says how much a part must have.",
        "Send a larger part from the same offset. Nothing of it was taken.",
        kinds=(),
    ),
    "attachment-type": Code(
        "The file is not of the type it was declared to be",
        (422, 502),
        "Its first bytes are not those of the declared type: JPEG, PNG, PDF, XLSX. What its name was does not matter. "
        "With 502, or as a command's failure, it was the bridge that found it.",
        "Begin a new upload with the right `media_type`, of a file of one of these types.",
        kinds=_COMMAND,
        attachments=True,
    ),
    "attachment-damaged": Code(
        "The file is damaged, or cut off",
        (422, 502),
        "It begins as a JPEG, PNG or PDF does, and does not go on or end as one.",
        "Look whether the file can be opened, and begin a new upload.",
        kinds=_COMMAND,
        attachments=True,
    ),
    "attachment-digest": Code(
        "The file is not the one that was declared",
        (422, 502),
        "The SHA-256 of what arrived is not the declared one: it was changed on the way, or while it was read.",
        "Begin a new upload.",
        kinds=_COMMAND,
        attachments=True,
    ),
    "attachment-not-taken": Code(
        "The command does not take files of this type",
        (422,),
        "Its attachments may be JPEG, PNG or PDF; those of `qr-batch` are XLSX alone. `errors` says which one it is.",
        "Upload the file in a type that the command takes.",
        kinds=_COMMAND,
        attachments=True,
    ),
    "no-such-attachment": Code(
        "The command names an attachment that is not there",
        (422,),
        "The command names an attachment that this application did not upload, or that has expired. "
        "`errors` says which.",
        "Upload the file, and send the command with the new id. Nothing was done.",
        kinds=_COMMAND,
        attachments=True,
    ),
    "attachment-incomplete": Code(
        "The attachment is not complete yet",
        (422,),
        "The command names an attachment of which parts are missing, or whose content is still being looked at "
        "(`status` is `uploading` or `checking`). `errors` says which.",
        "Send the missing parts, wait until its `status` is `complete`, and send the command again. Nothing was done.",
        kinds=_COMMAND,
        attachments=True,
    ),
    "attachment-used": Code(
        "The attachment belongs to another command",
        (422,),
        "Each attachment is used once, and another command names this one. `errors` says which.",
        "Upload the file again for another command.",
        kinds=_COMMAND,
        attachments=True,
    ),
    "attachments-too-large": Code(
        "The attachments are too many or too large together",
        (422,),
        "A command may name 10 files, of 20 MB (20971520 bytes) together.",
        "Send fewer or smaller files. Nothing was done.",
        kinds=_COMMAND,
        attachments=True,
    ),
    "too-many-attachments": Code(
        "Too many attachments wait for a command",
        (429,),
        "This application has uploaded, or begun to upload, as much as it may before commands name it; `detail` says "
        "how much that is.",
        "Send the commands, or `DELETE` what is not needed. What is not used expires by itself.",
        kinds=(),
    ),
    "too-many-failures": Code(
        "Too many attempts failed; wait before the next one",
        (429,),
        "Identity numbers, accounts and codes could be found out by trying. So after several refusals about one of "
        "them, or to one user, application or address (`detail` says which), each further one begins a pause, and the "
        "pauses grow.",
        "Wait for `Retry-After`, and let the customer check what was typed. Nothing was done.",
        guessed=True,
    ),
    "too-many-requests": Code(
        "Too many requests",
        (429,),
        "The rate of the application, the address or the account was exceeded, or too much was sent at once on one "
        "connection.",
        "Slow down; repeat after `Retry-After`. Nothing was done.",
    ),
    "address-paused": Code(
        "This address has sent too much for too long",
        (429,),
        "It went on when it was told `too-many-requests`, so the front takes nothing of it for a while, each time "
        "longer; new connections are closed without an answer.",
        "Send nothing until `Retry-After` is over, and less from then on. The operator can end it.",
    ),
    "quota-used-up": Code(
        "The application's requests of this day are used up",
        (429,),
        "The operator set a number of requests a calendar day, for this operation or for all together. `RateLimit` "
        "says what is left with every answer.",
        "Repeat after `Retry-After`, which is when the next day begins; or ask the operator for more.",
    ),
    "too-many-accounts": Code(
        "The application asks about too many different accounts",
        (429,),
        "The operator set a number of different accounts an hour. Those it has asked about in this hour go on.",
        "Repeat after `Retry-After`. If it is met in regular use, ask the operator for a higher one.",
    ),
    "ceiling-met": Code(
        "The intranet takes no more of this application for now",
        (429,),
        "The bridge limits how much a front, and an application of it, may ask: requests a second, and different "
        "accounts an hour. One of its ceilings was met.",
        "Repeat after `Retry-After`. If it is met in regular use, ask the operator of the bridge for a higher one.",
        kinds=_QUERY,
    ),
    "headers-too-large": Code(
        "The headers are too large",
        (431,),
        "The request line and headers are longer, or more, than the front takes; `detail` says how much it takes.",
        "Send fewer headers. Cookies of other services are the usual cause.",
    ),
    "internal": Code(
        "Something went wrong here; nothing is known to have been done",
        (500,),
        "A defect of the front. Its log has the request's id.",
        "Repeat a query; repeat a command with the same Idempotency-Key. Tell the operator the `request_id`.",
    ),
    "no-bridge": Code(
        "No bridge is attached",
        (502,),
        "No bridge of the intranet is connected to the broker at the moment, so that queries cannot be answered. "
        "Commands are still accepted, with 202.",
        _AGAIN,
        kinds=_QUERY,
    ),
    "operation-not-served": Code(
        "No attached bridge serves this operation",
        (502,),
        "Bridges are there, but the operation is bound in the configuration of none of them.",
        "Tell the operator. Nothing was done.",
    ),
    "marketing-failed": Code(
        "The marketing system failed",
        (502,),
        "It answered with an error, or with something that cannot be understood. A command that failed with this "
        "code was surely not applied.",
        "Repeat a query later. For a command that failed, send a new one with a new key.",
    ),
    "marketing-rejected": Code(
        "The marketing system rejected the call",
        (502,),
        "It would not take the bridge's request (HTTP 4xx). Nothing was applied.",
        "Repeating does not help: tell the operator.",
    ),
    "answer-mismatch": Code(
        "The marketing system answered about something else",
        (502,),
        "The answer was about another account, or another thing, than the one asked for. It was not passed on.",
        "Repeat a query. If it stays, tell the operator at once.",
    ),
    "answer-too-long": Code(
        "The marketing system's answer is too long to carry",
        (502,),
        "The answer is longer than a message to the front may be.",
        "Ask for less, such as fewer months.",
        kinds=_QUERY,
    ),
    "overloaded": Code(
        "Too much is in flight for an answer in time; try again shortly",
        (503,),
        "The marketing system is busy with earlier requests, so that this one would have been answered too late.",
        _AGAIN,
        kinds=_QUERY,
    ),
    "attachments-full": Code(
        "There is no room for attachments at the moment",
        (503,),
        "The attachments of all applications take as much room as the operator gave them.",
        "Repeat the request after `Retry-After`.",
        kinds=(),
    ),
    "backlog-full": Code(
        "Too many commands wait; try again later",
        (503,),
        "As many accepted commands as the front may keep are not carried out yet. This one was not accepted.",
        _AGAIN,
        kinds=_COMMAND,
    ),
    "shutting-down": Code(
        "This front is stopping; try again",
        (503,),
        "It answers what it has taken and takes nothing new.",
        "Repeat it: at another front at once, at this one when it is back.",
    ),
    "broker-refused": Code(
        "The message broker did not take the message: it is full, or this front has no right to",
        (503,),
        "Nothing was done, and a command was not accepted.",
        _AGAIN,
    ),
    "broker-unreachable": Code(
        "The message broker cannot be reached at the moment",
        (503,),
        "Nothing was done, and a command was not accepted.",
        _AGAIN,
    ),
    "operation-paused": Code(
        "The marketing system does not answer this operation at the moment",
        (503,),
        "Several calls in a row failed; the bridge asks again from time to time, and goes on when there is an answer.",
        _AGAIN,
        kinds=_QUERY,
    ),
    "maintenance": Code(
        "The marketing system is under maintenance",
        (503,),
        "This operation is paused for a while; `Retry-After` says when that is over, if that is known. Nothing was "
        "done. Commands are accepted meanwhile, with 202, and done afterwards, unless they are answered with this too.",
        _AGAIN,
    ),
    "marketing-unavailable": Code(
        "The marketing system cannot be reached",
        (503,),
        "The bridge has no connection to it, or was told to come again later. Nothing was applied.",
        _AGAIN,
        kinds=_QUERY,
    ),
    "store-unavailable": Code(
        "The ledger cannot be reached at the moment; nothing was accepted",
        (503,),
        "The front's database does not answer.",
        _AGAIN,
        kinds=_COMMAND,
    ),
    "inbox-conflict": Code(
        "Bridges with different inboxes are attached: no command is taken until an operator mends it",
        (502, 503),
        "Two bridges of the region keep separate inboxes: a command might be applied twice. Queries are answered.",
        "Tell the operator. A command that was answered with this was not accepted.",
        kinds=_COMMAND,
    ),
    "too-many-connections": Code(
        "Too many connections are open",
        (503,),
        "The front, or the caller's address, has as many connections as it may.",
        "Use fewer connections and keep them alive; repeat after `Retry-After`.",
    ),
    "no-answer-in-time": Code(
        "There was no answer in time",
        (504,),
        "For a query: no answer came within its deadline; whether it reached the bridge or the marketing system is "
        "not known. For a command: it expired before the marketing system was called, so nothing was applied.",
        "A query changes nothing: repeat it. For a command that expired, send a new one with a new key.",
    ),
    "marketing-timeout": Code(
        "The marketing system did not answer in time",
        (504,),
        "The bridge asked it, and had no answer within the query's deadline.",
        "Repeat the query later.",
        kinds=_QUERY,
    ),
    "http-version-not-supported": Code(
        "The front speaks HTTP/1.1",
        (505,),
        "What arrived was HTTP/2 without an upgrade, or another version of HTTP.",
        "Let your client speak HTTP/1.1, as every client can.",
    ),
    "expired": Code(
        "The command expired before it was carried out",
        (),
        "Its own expiry passed before the marketing system was called: nothing was applied.",
        "Send a new command with a new key, if it is still wanted.",
        kinds=_COMMAND,
    ),
    "held": Code(
        "The outcome is unknown and waits for an operator's decision",
        (),
        "The marketing system was called, and whether it applied the command cannot be found out automatically.",
        "Ask for the status again later: it follows the operator's decision. Do not send the order anew.",
        kinds=_COMMAND,
    ),
    "outcome-unreadable": Code(
        "The marketing system's answers about this command cannot be read; an operator decides",
        (),
        "It was called, and what it says of the outcome could not be read, several times over.",
        "Ask for the status again later: it follows the operator's decision. Do not send the order anew.",
        kinds=_COMMAND,
    ),
    "not-applied": Code(
        "An operator found that the marketing system did not apply it",
        (502,),
        "The command's outcome was unknown; an operator looked, and decided that it is given up.",
        "Send a new command with a new key, if it is still wanted.",
        kinds=_COMMAND,
    ),
    "cancelled": Code(
        "An operator took the command back before it was carried out",
        (502,),
        "The marketing system was not called, or each call is known to have had no effect: nothing was applied.",
        "Send a new command with a new key, if it is still wanted.",
        kinds=_COMMAND,
    ),
    "attachments-missing": Code(
        "The attachments did not reach the bridge in time",
        (502,),
        "The command was there, its files were not, for as long as the bridge waits. Nothing was applied.",
        "Upload the files again, and send a new command with a new key.",
        kinds=_COMMAND,
        attachments=True,
    ),
    "kills-worker": Code(
        "The command was set aside: a bridge ended several times while it had it in hand",
        (),
        "Whether it was applied is not known; an operator decides.",
        "Ask for the status again later. Do not send the order anew.",
        kinds=_COMMAND,
    ),
    "possible-repetition": Code(
        "The command may repeat one that was done before",
        (),
        "The front's database was restored from an older backup, and the command asks for just what one of the time "
        "between asked for. An operator decides whether it is done.",
        "Ask for the status again later. Do not send the order anew.",
        kinds=_COMMAND,
    ),
    "undelivered": Code(
        "No bridge has confirmed the command for a week",
        (),
        "Whether it was applied is not known; an operator decides.",
        "Tell the operator the request's id. Do not send the order anew.",
        kinds=_COMMAND,
    ),
}

TITLES: Mapping[str, str] = {code: told.title for code, told in CODES.items()}


def of_status(status: int, kind: Kind, *, attachments: bool = False, guessed: bool = False) -> tuple[str, ...]:
    """The codes `POST /v1/{operation}` may answer with this HTTP status, for an operation of this kind; `attachments`:
    if it takes some; `guessed`: if something can be guessed at.
    """
    return tuple(
        code
        for code, told in CODES.items()
        if kind in told.kinds
        and status in told.statuses
        and (attachments or not told.attachments)
        and (guessed or not told.guessed)
    )


def published(code: str, instead: str) -> str:
    """The code, if it is one of these: a newer bridge may know some that this front does not."""
    return code if code in CODES else instead
