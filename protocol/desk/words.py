"""What every desk's pages say, in English and Chinese. A desk adds what its own say."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.languages import Language

WRONG = "Name, password or code is not right, or the account is locked for a while."
TOO_MANY = "Too many attempts; wait a minute."
TOO_LONG_OPEN = "This page was open for too long. Please do it again."
AWAY = "The bridge does not answer now. Please try again in a minute."
CHINESE: Mapping[str, str] = {
    "Log in": "登录",
    "Log out": "退出",
    "Name": "用户名",
    "Password": "密码",
    "Code of the authenticator": "动态验证码（6 位）",
    "6 digits": "6 位数字",
    WRONG: "用户名、密码或验证码不正确，或账号暂时被锁定。",
    TOO_MANY: "尝试过于频繁，请一分钟后再试。",
    TOO_LONG_OPEN: "页面停留过久，请重新操作。",
    AWAY: "内网暂时没有应答，请一分钟后再试。",
    "Your password": "修改密码",
    "Present password": "当前密码",
    "New password": "新密码",
    "New password, once more": "再次输入新密码",
    "A password has 12 characters or more, and not your name.": "密码至少 12 个字符，且不得包含用户名。",
    "The new password was not written twice the same.": "两次输入的新密码不一致。",
    "It is changed. Other sessions of yours have ended.": "密码已修改，您的其他登录均已退出。",
    "Change it": "修改",
    "Back": "返回",
    "Your role does not include this.": "您的角色没有此项权限。",
    "There is no such page.": "没有这个页面。",
    "It did not work": "未能完成",
    "What was sent is too large, or nothing.": "提交的内容过大，或为空。",
}


@dataclass(frozen=True, slots=True)
class Words:
    """Those of one desk, besides these."""

    chinese: Mapping[str, str] = field(default_factory=dict)
    english: Mapping[str, str] = field(default_factory=dict)
    """For what stands in the pages as a code."""

    def said(self, text: str, language: Language) -> str:
        """A text of the pages; one that is not known stands as it is."""
        if language is Language.CHINESE:
            return self.chinese.get(text) or CHINESE.get(text, text)
        return self.english.get(text, text)
