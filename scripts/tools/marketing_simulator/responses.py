"""The response of every marketing interface: `rtnCode`, `rtnMsg` and, on success, `data`.

A refusal is a business response: HTTP 200 with a code of its own. Only the technical codes 9xxx have another HTTP
status.
"""

import json
from collections.abc import Mapping
from enum import Enum

SUCCESS = "0000"


class Code(Enum):
    """Return codes with their message and HTTP status."""

    INVALID_FIELD = ("1001", "参数错误", 200)
    NO_SUCH_ACCOUNT = ("1004", "户号不存在", 200)
    ACCOUNT_CLOSED = ("1005", "户号已销户", 200)
    MONTH_RANGE = ("1006", "查询月份范围错误", 200)
    WORK_ORDER_TYPE = ("1007", "工单类型无效", 200)
    NO_SUCH_WORK_ORDER = ("1008", "工单不存在", 200)
    CAPACITY = ("1009", "申请容量缺失或超出范围", 200)
    REQUEST_NOT_APPLIED = ("1010", "请求号未受理", 200)
    DAY_RANGE = ("1011", "查询日期范围错误", 200)
    NOT_CANCELLABLE = ("1041", "工单当前环节不可撤销", 200)
    NOT_FINISHED = ("1042", "工单未办结，不能评价", 200)
    ALREADY_RATED = ("1043", "工单已评价", 200)
    OPINION_TYPE = ("1044", "意见类别无效", 200)
    NO_USAGE = ("1021", "该月没有用电数据", 200)
    READING_WINDOW = ("1022", "不在自助报数时间内", 200)
    READING_BELOW_LAST = ("1023", "示数小于上次示数", 200)
    READING_TOO_HIGH = ("1024", "示数异常偏大", 200)
    NO_SUCH_BILL = ("1031", "该月没有账单", 200)
    MONTH_UNPAID = ("1032", "该月电费尚未结清", 200)
    ALREADY_INVOICED = ("1033", "该月已开具发票", 200)
    NOTHING_TO_INVOICE = ("1034", "金额为零，无需开票", 200)
    TRANSACTION_CONFLICT = ("1101", "渠道流水号重复且内容不一致", 200)
    TRANSACTION_REVERSED = ("1102", "渠道流水号已冲正", 200)
    AMOUNT = ("1103", "金额不符", 200)
    BILL_NOT_OPEN = ("1104", "账单不存在或已结清", 200)
    NO_SUCH_PAYMENT = ("1105", "缴费记录不存在", 200)
    AGREEMENT_EXISTS = ("1106", "已签约其他代扣", 200)
    NO_SUCH_AGREEMENT = ("1107", "代扣协议不存在", 200)
    TOO_FEW_POINTS = ("1108", "积分不足", 200)
    NO_SUCH_REWARD = ("1109", "兑换项不存在", 200)
    BILL_FROZEN = ("1110", "账单已锁定，不可缴费", 200)
    HOLD_ENDED = ("1111", "该批次的锁定已解除", 200)
    COUPON = ("1112", "优惠券、红包或积分不可用", 200)
    RESERVATION_CONFLICT = ("1113", "预留号重复且内容不一致", 200)
    RESERVATION_ENDED = ("1114", "预留已取消或已过期", 200)
    RESERVATION_POSTED = ("1115", "预留已入账", 200)
    NO_SUCH_RESERVATION = ("1116", "预留不存在", 200)
    NO_SUCH_APPLICATION = ("1050", "申请编号不存在", 200)
    APPLICATION_FINISHED = ("1051", "申请已办结", 200)
    APPLICATION_NOT_OFFERED = ("1052", "不受理该类客户的此项业务", 200)
    NO_SUCH_PAPER = ("1053", "该业务无此项资料", 200)
    IN_ARREARS = ("1054", "户号有欠费，请先结清", 200)
    NO_SUCH_REPORT = ("1060", "举报编号不存在", 200)
    FILE_CONTENT = ("1070", "附件内容与类型不符", 200)
    FILE_CONFLICT = ("1071", "请求号重复且附件内容不一致", 200)
    NO_SUCH_FILE = ("1072", "附件不存在", 200)
    NO_SUCH_AREA = ("1061", "区域不存在", 200)
    NO_SUCH_NEWS = ("1062", "资讯不存在", 200)
    NO_SUCH_CATEGORY = ("1063", "类别不存在", 200)
    NO_MATCH = ("1201", "所填信息与档案不符", 200)
    TOKEN_INVALID = ("1202", "匹配凭证无效或已过期", 200)
    CODE_INVALID = ("1203", "验证码错误或已失效", 200)
    NOT_BOUND = ("1204", "未绑定该户号", 200)
    TOO_MANY_CODES = ("1205", "今日验证码次数已用完", 200)
    TOKEN = ("9001", "访问令牌无效", 401)
    MALFORMED = ("9002", "报文格式错误", 400)
    SESSION = ("9003", "会话已失效", 200)
    SYSTEM = ("9999", "系统异常", 500)

    def __init__(self, code: str, message: str, http_status: int) -> None:
        self.code = code
        self.message = message
        self.http_status = http_status


class Refusal(Exception):
    """The request is refused; nothing was applied. With `keeps`, what was written of the attempt stays, such as the
    count of wrong codes.
    """

    def __init__(self, code: Code, detail: str = "", *, keeps: bool = False) -> None:
        super().__init__(code.code, detail)
        self.code = code
        self.detail = detail
        self.keeps = keeps

    def body(self) -> bytes:
        """The response body."""
        message = f"{self.code.message}: {self.detail}" if self.detail else self.code.message
        return to_json({"rtnCode": self.code.code, "rtnMsg": message}).encode()


def to_json(value: object) -> str:
    """Compact JSON with Chinese text left readable."""
    return _ENCODER.encode(value)


def success(data: Mapping[str, object]) -> str:
    """The body of a successful response."""
    return to_json({"rtnCode": SUCCESS, "rtnMsg": "成功", "data": data})


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
