"""The marketing system's business answers of no that several families share. A family's own stand in its file.

A refusal is final and nothing was applied. Its code is stable, for programs; its titles are for people.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """One no that an operation can answer."""

    code: str
    """Lower-case words joined by hyphens."""
    title: str
    title_zh: str


NO_SUCH_ACCOUNT = Refusal("no-such-account", "There is no account with this number", "户号不存在")
ACCOUNT_CLOSED = Refusal("account-closed", "The account is closed", "户号已销户")
INVALID_FIELD = Refusal("invalid-field", "The marketing system does not take a field's value", "参数无效")
CAPACITY = Refusal("capacity", "The capacity is missing or out of range", "申请容量缺失或超出范围")
MONTH_RANGE = Refusal("month-range", "These months cannot be asked for", "查询月份范围无效")
INVALID_ATTACHMENT = Refusal("invalid-attachment", "The marketing system does not take an attachment", "附件无效")
DAY_RANGE = Refusal("day-range", "This day cannot be asked for", "查询日期范围无效")
NO_SUCH_BILL = Refusal("no-such-bill", "There is no bill of this month", "该月没有账单")
BILL_FROZEN = Refusal("bill-frozen", "A bill is being collected in another way", "账单正在以其他方式代扣，暂不可缴费")
