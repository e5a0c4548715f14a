"""Of clearing."""

from collections.abc import Mapping

CODES: Mapping[str, tuple[str, str]] = {
    "sheet-computed": ("to be approved", "待批准"),
    "sheet-approved": ("approved", "已批准"),
    "sheet-paid-out": ("paid out", "已划付"),
    "sheet-arrived": ("arrived", "已到账"),
    "sheet-short": ("short", "少到账"),
    "sheet-over": ("over", "多到账"),
    "sheet-carried": ("carried forward", "结转"),
    "sheet-closed": ("closed", "已结清"),
    "sheet-do-computed": (
        "Compare it with the channel's own sum, then approve it.",
        "请与渠道的结算金额核对，然后批准。",
    ),
    "sheet-do-approved": ("Have it paid out, then say so.", "请办理划付，划付后在此登记。"),
    "sheet-do-paid-out": ("Wait for the money, then enter the bank's row.", "等待到账，到账后登记银行流水。"),
    "sheet-do-arrived": ("Nothing: all of it arrived.", "不必处理：已全部到账。"),
    "sheet-do-short": (
        "Ask the bank where the rest is. Enter what still arrives, or two people say what the difference is.",
        "请向银行查询差额。后到的款项照常登记；确实不会到的，由两人说明差额的处理。",
    ),
    "sheet-do-over": (
        "Ask the channel what was too much. Two people say what the difference is.",
        "请向渠道查询多付的原因，由两人说明差额的处理。",
    ),
    "sheet-do-carried": (
        "Nothing: more was refunded than paid, which the company's next sheet sets off.",
        "不必处理：退款多于收款，在该单位下一张清分单中抵扣。",
    ),
    "sheet-do-closed": ("Nothing: it has ended.", "不必处理：已结清。"),
    "sheet-act-signed": ("signed", "签字"),
    "sheet-act-difference": ("said what the difference is", "说明差额"),
    "sheet-act-adjusted": ("adjusted", "调整"),
    "sheet-act-computed": ("computed", "生成"),
    "sheet-act-recomputed": ("computed anew", "重新生成"),
    "sheet-act-approve": ("approved", "批准"),
    "sheet-act-sign": ("signed", "签字"),
    "sheet-act-pay-out": ("paid out", "登记划付"),
    "sheet-act-paid-out": ("paid out", "登记划付"),
    "sheet-act-arrived": ("arrival entered", "登记到账"),
    "sheet-act-arrive": ("arrived", "到账"),
    "sheet-act-arrive-short": ("less arrived", "少到账"),
    "sheet-act-arrive-over": ("more arrived", "多到账"),
    "sheet-act-adjust": ("adjusted", "调整"),
    "sheet-act-carry": ("carried forward", "结转"),
    "sheet-act-close": ("closed", "结清"),
    "part-rows": ("rows of the statement", "对账单明细"),
    "part-late": ("late rows", "迟到的明细"),
    "part-correction": ("what a replaced statement had otherwise", "替换对账单的差异"),
    "part-adjustment": ("adjustment", "调整"),
    "part-carried": ("carried from before", "上期结转"),
    "against-next-sheet": ("goes into the company's next sheet", "计入该单位下一张清分单"),
    "against-channel": ("the channel bears it", "由渠道承担"),
    "a sheet that is {} cannot {}": ("the sheet is {}: it cannot be {} now", "清分单目前为“{}”，不能再“{}”"),
    "by-statement": ("the bank's statement", "银行对账单"),
}
CHINESE: Mapping[str, str] = {
    "No such sheet. What a company is owed of a channel's day will stand here.": (
        "没有符合条件的清分单。各单位每个渠道每天应得的款项会列在这里。"
    ),
    "There is no sheet of this month. One stands here as soon as the statements of a day are accepted.": (
        "本月没有清分单。某日的对账单全部受理后，清分单就会列在这里。"
    ),
    "Sums of the month: what a sheet sets off counts once, in the sheet that it comes from.": (
        "本月合计：结转的金额只在其来源清分单中计一次。"
    ),
    "Clearing": "清分",
    "Clearing sheets": "清分单",
    "Clearing sheet": "清分单",
    "Owed besides": "另行调整",
    "Month": "月份",
    "no bank day": "非银行工作日",
    "State": "状态",
    "Sheet": "清分单",
    "Company": "单位",
    "Net, yuan": "净额（元）",
    "Arrived, yuan": "到账（元）",
    "no.": "第",
    "Paid out": "已划付",
    "arrived": "已到账",
    "Not arrived yet": "尚未到账",
    "Too much": "多到",
    "rows of the day are not cleared yet: whether they are written off is not known.": (
        "行当日明细尚未清分：还不知道是否已销账。"
    ),
    "You have signed it; a second person signs too.": "您已签字，须另一人也签字。",
    "Approve": "批准",
    "It is paid out": "登记已划付",
    "Money that arrived": "登记到账",
    "Day of arrival": "到账日期",
    "Number of the bank's row": "银行流水号",
    "Bank's row": "银行流水号",
    "Enter": "登记",
    "Entered by": "登记人",
    "Confirm just that": "确认同意",
    "Say what the difference is": "说明差额",
    "Two people say it, the second just as the first.": "须两人说明，第二人与第一人所说一致方为有效。",
    "What becomes of it": "处理方式",
    "Why": "原因",
    "Say so": "提交",
    "What it is made of": "构成",
    "Part": "部分",
    "Of day": "所属日",
    "Source": "来源",
    "Gross": "交易金额",
    "Promotions": "优惠金额",
    "Refunds": "退款金额",
    "Fee": "手续费",
    "Adjusted": "调整金额",
    "Net": "净额",
    "Download the company's file (CSV)": "下载单位清分文件（CSV）",
    "Arrivals": "到账记录",
    "Adjustments": "调整记录",
    "Said by": "说明人",
    "It waits for a second person, who confirms it, or writes just the same.": "等待另一人确认，或填写完全相同的内容。",
    "Two people have said it: it is in the company's next sheet.": "两人均已确认，计入该单位下一张清分单。",
    "What a company is owed besides its statements' rows, or (negative) owes.": (
        "除对账单明细之外，应补给该单位（正数）或应扣回（负数）的金额。"
    ),
    "It goes into the company's next sheet once a second person has confirmed it.": (
        "第二人确认后，计入该单位下一张清分单。"
    ),
    "clearing sheets: less arrived than was paid out": "张清分单少到账",
    "clearing sheets: more arrived than was paid out": "张清分单多到账",
    "clearing sheets wait for approval": "张清分单待批准",
    "Amount, yuan: it is written like 1234.50.": "金额（元）：写法如 1234.50。",
    "Day of arrival: it is written like 2026-11-24.": "到账日期：写法如 2026-11-24。",
    "Why: say it, in 1 to 500 characters.": "原因：请填写，1 至 500 字。",
    "Number of the bank's row: 1 to 64 letters, digits and signs without blanks.": (
        "银行流水号：1 至 64 个字母、数字或符号，不含空格。"
    ),
    "Orders and refunds that wait": "待处理的订单和退款",
    "adjustments of clearing wait for a second person": "项清分调整待第二人确认",
    "Adjustments that wait for a second person": "待第二人确认的调整",
    "One person has said each of these. A second one looks at it, and confirms just that, or leaves it.": (
        "以下各项已由一人提出。第二人核对后确认，或不予确认。"
    ),
    "Nothing waits. What one person says of a difference, or of what is owed besides, will stand here.": (
        "没有待确认的调整。一人提出的差额说明和另行调整会列在这里。"
    ),
    "difference of the sheet": "清分单差额",
    "owed besides": "另行调整",
    "You said it; a second person confirms.": "由您提出，须另一人确认。",
    "Look at the sheet": "查看清分单",
    # why not (settlement/clearing)
    "{} has signed it already; it takes two people": "{} 已签字，须另一人签字",
    "{} comes first: its net is negative, and is set off": "须先处理 {}：其净额为负，将被抵扣",
    "{}: has arrived already, and was another amount": "{} 已登记过，且金额不同",
    "amount: what is adjusted is more, or less, than nothing": "调整金额不能为 0",
    "day: is not over, nor begun": "日期在今天之后",
    "channel: {} is not cleared here": "渠道 {} 不在此清分",
    "company: {} is not cleared here": "单位 {} 不在此清分",
    "what arrives is more than nothing": "到账金额须大于 0",
    "a difference of a clearing is adjusted by two people": "清分差额须由两人调整",
    "an adjustment says why": "调整须填写原因",
}
