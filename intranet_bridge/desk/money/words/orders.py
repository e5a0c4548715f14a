"""Of payment orders and refunds."""

from collections.abc import Mapping

from protocol.operations import CATALOGUE
from protocol.operations import orders as catalogue

_ASKED = (
    "payment-writeoff", "prepay", "payment-reversal", "promotion-reserve", "promotion-post", "promotion-void",
    "withholding-charge",
)  # fmt: skip
"""What the bridge asks of companies and of the promotion service for an order, or a line of withholding."""
CODES: Mapping[str, tuple[str, str]] = {
    # what a company answered, by its code
    **{
        f"refused-{one.code}": (one.title, one.title_zh)
        for one in (
            *(refusal for name in _ASKED for refusal in CATALOGUE[name].refusals),
            catalogue.ORDER_EXPIRED,
            catalogue.COUPON_INVALID,
        )
    },
    "refused-settled-refused": ("a person said that it is not in the company's books", "人工认定：单位未入账"),
    "refused-failed": ("it failed", "处理失败"),
    "refused-expired": ("it was too late", "已过时限"),
    "refused-cancelled": ("it was taken back", "已撤回"),
    # an order
    "order-created": ("made", "已创建"),
    "order-reserved": ("reserved", "已预留"),
    "order-paying": ("being paid", "支付中"),
    "order-paid": ("paid", "已付款"),
    "order-writing-off": ("being written off", "销账中"),
    "order-completed": ("completed", "已完成"),
    "order-completed-with-refunds": ("completed with refunds", "已完成（有退款）"),
    "order-held": ("held", "挂起"),
    "order-expired": ("expired", "已过期"),
    "order-cancelled": ("cancelled", "已取消"),
    "order-code-amount-mismatch": ("another amount was paid", "付款金额与订单不符"),
    "order-code-risk-review": ("a rule of risk wants it looked at", "风险规则要求人工查看"),
    "order-code-coupon-invalid": ("a coupon, a red packet or points could not be had", "优惠券、红包或积分不可用"),
    # why it waits for a person, and what to do
    "waits-amount-mismatch": ("another amount was paid", "付款金额与订单不符"),
    "waits-risk-review": ("to be looked at for its risk", "待风险查看"),
    "waits-line-held": ("a line is held: what became of its write-off is not known", "有订单行挂起：是否销账不明"),
    "waits-bills-not-seen": ("paid too late; whether its bills are open is not known", "逾期付款，账单是否仍欠费不明"),
    "waits-part-not-resolved": ("a coupon, a red packet or points could not be used up", "优惠券、红包或积分未能核销"),
    "waits-do-amount-mismatch": (
        "Nothing is written off. Compare what the channel's statement says was paid; then give the whole payment back.",
        "未销任何账。请与渠道对账单核对实付金额，然后全额退回。",
    ),
    "waits-do-risk-review": (
        "The payer has paid, and nothing is written off yet. Ask the payer; if all is right, let the order go on.",
        "付款人已付款，尚未销账。请向付款人核实，无误则放行。",
    ),
    "waits-do-line-held": (
        "Look into the company's books. If the payment is there, the line is written off; if surely not, refunded.",
        "请查该单位的账：已入账则认定为已销账；确未入账则认定为未销账并退款。",
    ),
    "waits-do-bills-not-seen": (
        "Ask the company why its marketing system does not answer: when it does, the order goes on by itself.",
        "请向该单位了解营销系统为何没有应答；恢复后订单自动继续。",
    ),
    "waits-do-part-not-resolved": (
        "The bills are written off. Ask who keeps the coupons and points to use up the reservation of this order.",
        "账单已销账。请联系优惠券、积分系统，核销本订单的预留。",
    ),
    "waits-do-given-back": (
        "It is given back: its refund is under way, and the order ends when the channel has proven it.",
        "正在全额退回：渠道证实退款后，订单结束。",
    ),
    "say-written-off": (
        "The payment is in the company's books: the line is written off.",
        "单位已入账：认定该行已销账。",
    ),
    "say-refused": (
        "The payment surely is not in the company's books: the line is refunded.",
        "单位确未入账：该行退款给付款人。",
    ),
    "say-go-on": ("The payer was asked, and all is right: the order goes on.", "已向付款人核实无误：订单放行。"),
    "say-give-back": ("The whole payment goes back to the payer.", "整笔付款退回付款人。"),
    # a line of it
    "order-line-open": ("open", "未销账"),
    "order-line-unknown": ("not known yet", "结果不明"),
    "order-line-written-off": ("written off", "已销账"),
    "order-line-refused": ("refused by the company", "单位拒绝"),
    "order-line-refunding": ("being refunded", "退款中"),
    "order-line-refunded": ("refunded", "已退款"),
    "order-line-credited": ("prepaid instead", "转为预存"),
    "order-line-held": ("held", "挂起"),
    # coupons, red packets, points
    "part-state-none": ("not reserved", "未预留"),
    "part-state-reserved": ("reserved", "已预留"),
    "part-state-posted": ("used up", "已核销"),
    "part-state-voided": ("given back", "已退回"),
    "part-kind-coupon": ("coupon", "优惠券"),
    "part-kind-red-packet": ("red packet", "红包"),
    "part-kind-points": ("points", "积分"),
    # a refund
    "refund-requested": ("asked for", "已要求退款"),
    "refund-sent": ("sent to the channel", "已提交渠道"),
    "refund-proven": ("proven", "已证实"),
    "refund-failed": ("failed", "退款失败"),
    "refund-do-unproven": (
        "Have the application ask the channel by the refund's number, always the same one: by it a channel refunds "
        "once. The channel's word, or its next statement, proves it; then it stands here no more.",
        "请让应用凭退款单号向渠道查询或重新提交，单号始终不变：同一单号渠道只退一次。渠道通知或下一份对账单证实后，"
        "此处不再列出。",
    ),
}
CHINESE: Mapping[str, str] = {
    "Payment orders": "缴费订单",
    "Payment order": "缴费订单",
    "waits for a person": "待人处理",
    "Day of payment": "付款日",
    "Orders that wait for a person": "待人处理的订单",
    "Order lines": "订单行",
    "No order waits. One that cannot go on by itself will stand here, with why.": (
        "没有待处理的订单。不能自动继续的订单及原因会列在这里。"
    ),
    "There is no such order.": "没有这样的订单。",
    "Refunds that three statements do not prove": "三份对账单仍未证实的退款",
    "Refund no.": "退款单号",
    "Asked for at": "要求退款时间",
    "Transaction of the payment": "原支付交易号",
    "Statements without it": "未含该退款的对账单数",
    "None. A refund that neither the channel's word nor three of its statements prove will stand here.": (
        "没有。渠道通知和三份对账单都未证实的退款会列在这里。"
    ),
    "To be paid, yuan": "应付（元）",
    "Was paid, yuan": "实付（元）",
    "Decide": "作出决定",
    "Decision": "决定",
    "What you say is believed, and is not taken back: look into the books of the company and of the channel first.": (
        "您的决定即为准，不能撤回：请先查看单位和渠道的账。"
    ),
    "What you have found": "核实情况",
    "Decide so": "确认决定",
    "Who has the role settle decides it.": "由有 settle 角色的人决定。",
    "Bills": "账单",
    "prepayment": "预存",
    "Of it cash, yuan": "其中现金（元）",
    "Coupons, red packets and points": "优惠券、红包和积分",
    "Who pays for it": "出资方",
    "Payments that are proven": "已证实的付款",
    "a payment too many": "多付的一笔",
    "None: nobody has proven a payment of it.": "没有：尚无付款被证实。",
    "whole": "整单",
    "The order": "订单信息",
    "Application": "应用",
    "Made at": "下单时间",
    "What you have found: say it, in 1 to 400 characters.": "核实情况：请填写，1 至 400 字。",
    "Decision: choose one.": "决定：请选择一项。",
    "payment orders are held: somebody decides": "笔缴费订单挂起，待人处理",
    "refunds that three statements do not prove: have the channel asked": "笔退款三份对账单仍未证实：请向渠道查询",
    # why not (settlement/payments)
    "there is no such order": "没有这个订单",
    "the order is {}: only of one that is held can anything be said": "订单目前为 {}：只能对挂起的订单作决定",
    "it is not held for a look at its risk": "订单并非因风险查看而挂起",
    "that line is not held": "该订单行没有挂起",
    "its payment is the order's: what it paid is refunded line by line": "付款金额与订单相符：应按行退款",
    "it is given back already: its refund is under way": "已在退回：退款正在进行",
    "what is {} cannot {}": "目前的状态（{}）不能这样做（{}）",
}
