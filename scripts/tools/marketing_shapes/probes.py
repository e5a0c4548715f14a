"""Requests that no example of the catalogue makes, in this order, by the interface's path."""

from collections.abc import Mapping, Sequence
from typing import Any

FILES = ("F2026071500000001",)
"""Files that were handed over before."""

_CHANNEL = {"chnlCode": "wechat", "acctDate": "2026-07-15"}
_PAID = {**_CHANNEL, "payTime": "2026-07-15 08:00:00"}
_ORDER = {"contactName": "张三", "contactTel": "19900000001", "addr": "云河市人民路1号", "content": "停电"}
_APPLICANT = {
    "custType": "1", "custName": "王芳", "certNo": "990101199001010019", "linkMan": "王芳", "linkTel": "19900000001",
}  # fmt: skip
_PLACE = {"elecAddr": "云河市人民路2号", "elecType": "2", "applyCap": "12.5"}

PROBES: Sequence[tuple[str, Mapping[str, Any]]] = (
    # bills that a payment settles, and the same taken back; with what remains as credit, and without
    ("/api/pay/writeoff", {"reqId": "w1", "consNo": "3210000000003", "payAmt": 1_000_000, "chnlSeq": "1", **_PAID}),
    ("/api/pay/prepay", {"reqId": "w2", "consNo": "3210000000008", "payAmt": 1_000_000, "chnlSeq": "2", **_PAID}),
    ("/api/pay/state", {"chnlCode": "wechat", "chnlSeq": "1"}),
    ("/api/pay/state", {"reqId": "w2"}),
    (
        "/api/pay/reverse",
        {
            "reqId": "w3",
            "consNo": "3210000000003",
            "payAmt": 1_000_000,
            "chnlSeq": "1",
            "chnlLine": 1,
            "revReason": "01",
            "refundSeq": "1R",
            "revTime": "2026-07-15 08:30:00",
            **_CHANNEL,
        },
    ),
    ("/api/pay/state", {"chnlCode": "wechat", "chnlSeq": "1"}),
    ("/api/pay/list", {"consNo": "3210000000008", "dateFrom": "2026-07-01", "dateTo": "2026-07-15"}),
    ("/api/pq/month", {"consNo": "3210000000001", "ymFrom": "202407", "ymTo": "202606"}),
    *(("/api/balance/query", {"consNo": f"3210000000{number:03}"}) for number in range(1, 41)),
    ("/api/invoice/list", {"consNo": "3210000000001", "ymFrom": "202605", "ymTo": "202605"}),  # not issued yet
    ("/api/wo/create", {"reqId": "o1", "woType": "05", "applyCap": 8, **_ORDER}),
    ("/api/wo/createOnce", {"reqId": "o2", "woType": "07", "consNo": "3210000000001", **_ORDER}),
    ("/api/wo/progress", {"woNo": "202607150000000004"}),
    ("/api/wo/list", {"consNo": "3210000000001"}),
    # applications by what they need
    (
        "/api/app/create",
        {"reqId": "a1", "appType": "101", "dataNos": ["A01", "A02"], "attachIds": [*FILES], **_APPLICANT, **_PLACE},
    ),
    (
        "/api/app/create",
        {
            "reqId": "a2",
            "appType": "201",
            "consNo": "3210000000001",
            "newCustType": "1",
            "newCustName": "李强",
            "newCertNo": "990101199001010027",
            **_APPLICANT,
        },
    ),
    ("/api/app/progress", {"appNo": "SQ202607150000000002"}),
    ("/api/app/progress", {"appNo": "SQ202607150000000003"}),
    (
        "/api/app/supplement",
        {"reqId": "a3", "appNo": "SQ202511030000000001", "linkTel": "19900000001", "attachIds": [*FILES]},
    ),
    ("/api/theft/report", {"reqId": "t1", "addr": "云河市", "content": "绕表", "attachIds": [*FILES]}),
    ("/api/cust/realName", {"appUser": "nobody"}),
    ("/api/cust/bindList", {"appUser": "nobody"}),
    ("/api/outlet/list", {"area": "青石"}),
    ("/api/outage/list", {}),
    ("/api/pay/detail", {"chnlCode": "wechat", "dateFrom": "2026-07-15", "dateTo": "2026-07-15"}),
    (
        "/api/bill/lock",
        {"reqId": "h1", "consNo": "3210000000002", "ymList": ["202606"], "batchNo": "B1", "chnlCode": "withholding"},
    ),
    ("/api/wh/list", {"consNos": ["3210000000001"]}),
    ("/api/owe/list", {"consNos": ["3210000000002"]}),
)

ALIKE = {"/api/pay/prepay": "/api/pay/writeoff"}
"""Interfaces that answer as another does, with lists that are empty whatever they are asked."""
MAY_BE_NULL = {"/api/app/progress": ("waitFor",), "/api/pq/realtime": ("mrNum",)}
"""Fields of answers that are null later than the moment of the probes: a finished application, a first month."""
