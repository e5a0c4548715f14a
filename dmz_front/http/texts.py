"""What the API's pages say, in English, and the same in Chinese."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from dmz_front.problems.chinese import CHINESE
from dmz_front.problems.codes import CODES
from protocol.languages import Language

COMMAND = (
    "A command: once answered 200 or 202 it is never lost and never applied twice. "
    "Repeat it with the same Idempotency-Key as often as you like."
)
QUERY = "A query: an answer within its deadline, or a clear problem."
BEGIN = (
    "Says what the file is: its length (20 MB at most), its SHA-256 and its type. `Location` is where its parts go, "
    "`Upload-Limit` how large a part may be. An upload that gets no parts for some hours is forgotten."
)
SEND = (
    "A part begins where the upload stands; otherwise it is 409 with the right `Upload-Offset`, so that a repeated "
    "part changes nothing. Of a part that is cut off what has come is kept: ask with `HEAD`. With the last part the "
    "file is compared with its digest and its type; a command may name it when its `status` is `complete`."
)
HOW_FAR = "`HEAD` gives the same headers. `status` is `uploading`, `checking`, `complete` or `rejected`."
FORGET = "What is not used expires by itself; this makes room at once."
_NAMES = {Language.CHINESE: "中文", Language.ENGLISH: "English"}
_CHINESE: Mapping[str, str] = {
    "This front": "本前置机",
    "requests": "请求",
    "channels": "支付渠道",
    "What became of commands, and what a key may use": "办理类请求的结果，以及本密钥可用的服务",
    "health": "健康检查",
    "For load balancers and monitoring": "供负载均衡与监控使用",
    COMMAND: "办理类：一经回答 200 或 202，即不会丢失，也不会重复生效。可用同一 Idempotency-Key 重复发送。",
    QUERY: "查询类：在时限内给出结果，或给出明确的问题说明。",
    "Needs the scope": "所需权限：",
    "Fields of an earlier version:": "旧版本中已取消的字段：",
    "The marketing system may refuse it:": "营销系统可能给出的拒绝：",
    "Answered": "已答复",
    "Customer account number.": "户号。",
    "Problems": "问题代码",
    "Every error is a document of the type `application/problem+json` (RFC 9457). Its `code` is one of these and never "
    "changes its meaning.": "每个错误都是 `application/problem+json`（RFC 9457）文档，其 `code` 为下列之一，"
    "含义永不改变。",
    "HTTP status:": "HTTP 状态：",
    "In the `failure` of a command's status document": "见于办理类请求状态文档的 `failure`",
    "What it means": "含义",
    "What you can do": "处理办法",
    "All problems": "全部问题代码",
    "attachments": "附件",
    "Files, uploaded in parts before a command names them": "分段上传的文件，上传完成后由办理类请求引用",
    "Begin an upload": "开始上传",
    "How far an upload is": "查询上传进度",
    "Send a part": "上传一个分段",
    "Forget an attachment that no command names": "删除未被引用的附件",
    BEGIN: "声明文件的长度（至多 20 MB）、SHA-256 与类型。`Location` 为分段上传的地址，`Upload-Limit` 为分段大小限制。"
    "若干小时内没有新的分段，上传即作废。",
    SEND: "分段须从当前进度开始，否则答 409 并给出正确的 `Upload-Offset`，故重复发送不会重复生效。中断的分段，"
    "已到达的部分予以保留：可用 `HEAD` 查询。最后一段到达后核对摘要与类型；`status` 为 `complete` 后，"
    "办理类请求方可引用。",
    HOW_FAR: "`HEAD` 返回相同的头部。`status` 取 `uploading`（上传中）、`checking`（核对中）、`complete`（完成）"
    "或 `rejected`（不合格）。",
    FORGET: "未被引用的附件到期自动删除；此操作立即腾出空间。",
    "What became of a command": "查询办理结果",
    "The operations this key may use": "本密钥可用的服务",
    "Alive": "存活",
    "Broker reachable and a bridge present": "消息代理可达，且内网桥在线",
}


def said(text: str, language: Language) -> str:
    """The text in a language; as it is, where there is no other."""
    if language is not Language.CHINESE:
        return text
    return _CHINESE.get(text) or _descriptions().get(" ".join(text.split())) or text


@cache
def _descriptions() -> Mapping[str, str]:
    """Descriptions in the API's document, in English (with one space for any white space) → in Chinese."""
    found: dict[str, str] = json.loads(file("descriptions.zh.json"))
    return found


def title(code: str, language: Language) -> str:
    """A problem's title."""
    return problem(code, language)[0]


def problem(code: str, language: Language) -> tuple[str, str, str]:
    """A problem's title, what it means and what can be done."""
    told = CODES[code]
    english = told.title, told.meaning, told.remedy
    return CHINESE.get(code, english) if language is Language.CHINESE else english


def about(language: Language) -> str:
    """What stands above the operations, in Markdown: what this is, and how a sandbox key is used."""
    return file(f"{language}.md")


def file(name: str) -> str:
    """A file of the pages' texts."""
    return (files(__package__) / "about" / name).read_text(encoding="utf-8")


def switch(path: str, current: Language) -> str:
    """Links to a page in each language, in HTML."""
    links = " · ".join(
        f"<b>{name}</b>" if language is current else f'<a href="{path}?lang={language}" lang="{language}">{name}</a>'
        for language, name in _NAMES.items()
    )
    return f'<nav style="font:14px sans-serif;padding:8px 20px;text-align:right">{links}</nav>'
