"""What the API's pages say, in English, and the same in Chinese."""

from collections.abc import Mapping
from importlib.resources import files

from dmz_front.http.languages import Language

COMMAND = (
    "A command: once answered 200 or 202 it is never lost and never applied twice. "
    "Repeat it with the same Idempotency-Key as often as you like."
)
QUERY = "A query: an answer within its deadline, or a clear problem."
_CHINESE: Mapping[str, str] = {
    "This front": "本前置机",
    "requests": "请求",
    "What became of commands, and what a key may use": "办理类请求的结果，以及本密钥可用的服务",
    "health": "健康检查",
    "For load balancers and monitoring": "供负载均衡与监控使用",
    COMMAND: "办理类：一经回答 200 或 202，即不会丢失，也不会重复生效。可用同一 Idempotency-Key 重复发送。",
    QUERY: "查询类：在时限内给出结果，或给出明确的问题说明。",
    "Needs the scope": "所需权限：",
    "Fields of an earlier version:": "旧版本中已取消的字段：",
    "The marketing system may refuse it:": "营销系统可能给出的拒绝：",
    "Answered": "已答复",
    "What became of a command": "查询办理结果",
    "The operations this key may use": "本密钥可用的服务",
    "Alive": "存活",
    "Broker reachable and a bridge present": "消息代理可达，且内网桥在线",
}


def said(text: str, language: Language) -> str:
    """The text in a language; as it is, where there is no other."""
    return _CHINESE.get(text, text) if language is Language.CHINESE else text


def about(language: Language) -> str:
    """What stands above the operations, in Markdown: what this is, and how a sandbox key is used."""
    return (files(__package__) / "about" / f"{language}.md").read_text(encoding="utf-8")
