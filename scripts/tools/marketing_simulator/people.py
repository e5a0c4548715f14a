"""Invented people: names, addresses, identity and telephone numbers that look right and belong to nobody.

An identity number has the form and the check digit of GB 11643, but the area code 990101, which no place has.
A mobile number is 1990 and seven digits counted up from 0000001.
"""

from dataclasses import dataclass
from random import Random

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢"
# fmt: off
GIVEN_NAMES = (
    "伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟",
    "涛", "明", "超", "秀英", "霞", "平", "刚", "桂英", "建国", "建华", "志强", "秀兰", "玉兰", "晓东",
    "海燕", "文博", "子涵", "雨桐", "浩然", "思远", "佳怡", "俊杰", "春梅", "德明", "国庆", "红梅", "立新",
    "淑华", "永强", "振华", "梓轩", "欣怡",
)
# fmt: on
DISTRICTS = ("云河区", "青石区", "东湖区", "北桥区", "南塘区", "新港区")
STREETS = (
    "人民路",
    "解放路",
    "建设路",
    "中山路",
    "和平街",
    "光明街",
    "文化路",
    "滨河路",
    "学府路",
    "长虹路",
    "园林路",
    "供电巷",
)
ESTATES = ("阳光花园", "翠湖苑", "金桂家园", "锦绣新城", "和谐小区", "春江花苑", "电力新村", "书香名邸")

INVENTED_AREA_CODE = "990101"
CHECK_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_DIGITS = "10X98765432"


@dataclass(frozen=True, slots=True)
class Person:
    """Who holds an account."""

    name: str
    identity_number: str
    mobile: str


def identity_number(birth_date: str, sequence: int) -> str:
    """An 18-character identity number with a right check digit and an area code that does not exist."""
    digits = f"{INVENTED_AREA_CODE}{birth_date}{sequence % 1000:03d}"
    total = sum(int(digit) * weight for digit, weight in zip(digits, CHECK_WEIGHTS, strict=True))
    return digits + CHECK_DIGITS[total % 11]


def invented_person(random: Random, number: int) -> Person:
    """The person behind the customer with this number."""
    name = random.choice(SURNAMES) + random.choice(GIVEN_NAMES)
    birth_date = f"{random.randint(1945, 2004)}{random.randint(1, 12):02d}{random.randint(1, 28):02d}"
    return Person(name, identity_number(birth_date, number), f"1990{number:07d}")


def invented_address(random: Random) -> str:
    """An address in the invented city Yunhe (云河市)."""
    return (
        f"云河市{random.choice(DISTRICTS)}{random.choice(STREETS)}{random.randint(1, 399)}号"
        f"{random.choice(ESTATES)}{random.randint(1, 30)}幢{random.randint(1, 4)}单元"
        f"{random.randint(1, 18)}{random.randint(1, 4):02d}室"
    )
