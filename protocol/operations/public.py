"""Public information: where to go, when the power is off, what is announced and asked. No account is needed."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from protocol.operations.fields import PERSONAL, AccountNumber, Day, Model, Moment, Text
from protocol.operations.operation import Family, Kind, Operation
from protocol.operations.refusals import NO_SUCH_ACCOUNT, Refusal
from protocol.operations.spans import days_between

MOST_DAYS = 92
Line = Annotated[Text, StringConstraints(max_length=200)]
Body = Annotated[Text, StringConstraints(max_length=10_000), Field(description="Text; paragraphs end with a line feed")]
Html = Annotated[
    str,
    StringConstraints(max_length=20_000),
    Field(
        description="The same as HTML: p, br, h2 to h4, lists, tables, links and the like; no scripts, styles or "
        "pictures. Only of what the bridge itself publishes"
    ),
]
Area = Annotated[Text, StringConstraints(max_length=40), Field(description="An area's code, or its name")]
Category = Annotated[Text, StringConstraints(max_length=40), Field(description="A category's code, or its name")]
Keyword = Annotated[Text, StringConstraints(max_length=40), Field(description="What a text must contain")]
Page = Annotated[int, Field(ge=1, le=10_000, description="Counted from 1")]
Total = Annotated[int, Field(ge=0, description="How many there are on all pages together")]
Datum = Annotated[
    Literal["GCJ-02", "WGS-84"],
    Field(
        description="What latitude and longitude refer to: WGS-84 is a satellite receiver's, GCJ-02 that of public "
        "maps of mainland China; they lie up to 700 m apart"
    ),
]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, description="Degrees, north above 0")]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, description="Degrees, east above 0")]


class Point(Model):
    """A position. Its datum is always said."""

    latitude: Annotated[Latitude, PERSONAL]
    longitude: Annotated[Longitude, PERSONAL]
    datum: Datum


class OutletsQuery(Model):
    """Outlets of an area, or those around a point."""

    area: Area | None = None
    near: Annotated[Point, Field(description="The nearest to this point come first")] | None = None
    within_m: Annotated[int, Field(ge=1, le=100_000, description="With `near`: at most so far, in metres")] | None = (
        None
    )
    limit: Annotated[int, Field(ge=1, le=50, description="At most so many")] = 20

    @model_validator(mode="after")
    def _one_way_of_asking(self) -> Self:
        if (self.area is None) == (self.near is None):
            raise ValueError("either area or near is needed, and not both")
        if self.within_m is not None and self.near is None:
            raise ValueError("within_m goes with near")
        return self


class Outlet(Model):
    """A place where customers are served."""

    outlet: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,40}$"), Field(description="Its number")]
    name: Line
    area: Annotated[Area, Field(description="The area's code")]
    area_name: Line | None = None
    address: Line
    phone: Annotated[str, StringConstraints(pattern=r"^[0-9+ -]{3,30}$")] | None = None
    hours: Annotated[Line, Field(description="When it is open")] | None = None
    services: Annotated[tuple[Line, ...], Field(max_length=30, description="What can be done there")] = ()
    latitude: Latitude
    longitude: Longitude
    distance_m: Annotated[int, Field(ge=0, description="From the point asked for, in metres")] | None = None


class Outlets(Model):
    """The answer: with `near` in the request the nearest first."""

    datum: Annotated[Datum, Field(description="Of the outlets' positions, whatever the request's was")]
    outlets: Annotated[tuple[Outlet, ...], Field(max_length=50)]

    @model_validator(mode="after")
    def _nearest_first(self) -> Self:
        distances = [one.distance_m for one in self.outlets if one.distance_m is not None]
        if distances != sorted(distances):
            raise ValueError("outlets with a distance come nearest first")
        return self


class OutagesQuery(Model):
    """Planned and unplanned outages: of an account's place, of an area, of some days, or of these together."""

    account: AccountNumber | None = None
    area: Area | None = None
    first_day: Day | None = None
    last_day: Annotated[Day, Field(description="Counted; goes with first_day")] | None = None

    @model_validator(mode="after")
    def _something_asked(self) -> Self:
        if (self.first_day is None) != (self.last_day is None):
            raise ValueError("first_day and last_day belong together")
        if self.account is None and self.area is None and self.first_day is None:
            raise ValueError("at least one of account, area and first_day with last_day is needed")
        days = days_between(self.first_day, self.last_day) if self.first_day and self.last_day else 1
        if not 1 <= days <= MOST_DAYS:
            raise ValueError(f"last_day must not be before first_day, and at most {MOST_DAYS} days may be asked for")
        return self


class OutageArea(Model):
    """Where the power is off."""

    area: Annotated[Area, Field(description="The area's code")]
    name: Line
    streets: Annotated[tuple[Line, ...], Field(max_length=200, description="None: the whole area")] = ()


class Outage(Model):
    """One outage."""

    notice: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,40}$"), Field(description="Its number")]
    kind: Annotated[Literal["planned", "fault"], Field(description="Announced before, or a fault being mended")]
    begin: Moment
    end: Annotated[Moment, Field(description="When power is expected back; absent: not known yet")] | None = None
    areas: Annotated[tuple[OutageArea, ...], Field(min_length=1, max_length=100)]
    reason: Line | None = None


class Outages(Model):
    """The answer: the earliest first. Without days in the request, those that are not over or come soon."""

    account: Annotated[AccountNumber, Field(description="There if one was asked for")] | None = None
    notices: Annotated[tuple[Outage, ...], Field(max_length=200)]


class NewsListQuery(Model):
    """A page of the news."""

    category: Category | None = None
    page: Page = 1
    page_size: Annotated[int, Field(ge=1, le=50)] = 20


NewsNumber = Annotated[
    str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,40}$"), Field(description="The number of one of the news")
]


class NewsHeading(Model):
    """One of the news, in short."""

    news: NewsNumber
    title: Line
    published_on: Day
    category: Category | None = None
    summary: Line | None = None


class NewsList(Model):
    """The answer: the latest first."""

    total: Total
    items: Annotated[tuple[NewsHeading, ...], Field(max_length=50)]


class NewsItemQuery(Model):
    """One of the news, in full."""

    news: NewsNumber


class NewsItem(Model):
    """The answer to a query for one of the news."""

    news: NewsNumber
    title: Line
    published_on: Day
    category: Category | None = None
    body: Body
    body_html: Html | None = None


class FaqQuery(Model):
    """Questions often asked: all, or those of a category or with a word."""

    category: Category | None = None
    keyword: Keyword | None = None


class Question(Model):
    """One question and its answer."""

    category: Category | None = None
    question: Line
    answer: Annotated[Body, StringConstraints(max_length=1_000)]
    answer_html: Html | None = None


class Questions(Model):
    """The answer to a query for questions."""

    items: Annotated[tuple[Question, ...], Field(max_length=50)]


class PoliciesQuery(Model):
    """A page of the texts of policies and prices, each in full."""

    category: Category | None = None
    keyword: Keyword | None = None
    page: Page = 1
    page_size: Annotated[int, Field(ge=1, le=5)] = 5


class Policy(Model):
    """One policy."""

    policy: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,40}$"), Field(description="Its number")]
    category: Category | None = None
    title: Line
    issuer: Line | None = None
    document: Annotated[Line, Field(description="The document's number, as the issuer writes it")] | None = None
    issued_on: Day | None = None
    in_force_from: Day | None = None
    body: Body
    body_html: Html | None = None


class Policies(Model):
    """The answer: the latest first."""

    total: Total
    policies: Annotated[tuple[Policy, ...], Field(max_length=5)]


NO_SUCH_AREA = Refusal("no-such-area", "There is no such area", "区域不存在")
NOT_BY_ACCOUNT = Refusal(
    "not-by-account",
    "Outages can be asked for by area and days here, not by account",
    "暂不支持按户号查询停电，请按区域或日期查询",
)
NO_SUCH_NEWS = Refusal("no-such-news", "There is none of the news with this number", "资讯不存在")
NO_SUCH_CATEGORY = Refusal("no-such-category", "There is no such category", "类别不存在")

FAMILY = Family(
    "Public information",
    "公共信息",
    "Outlets, outages, news, questions and policies; no account is needed",
    "营业网点、停电公告、资讯、常见问题与政策文件，无需户号",
)
OPERATIONS = (
    Operation(
        name="outlets",
        kind=Kind.QUERY,
        summary="Outlets of an area, or the nearest to a point (datum GCJ-02 or WGS-84)",
        summary_zh="查询营业网点：按区域，或按距离（坐标须注明GCJ-02或WGS-84）",
        request=OutletsQuery,
        response=Outlets,
        example={"near": {"latitude": 30.514, "longitude": 114.393, "datum": "WGS-84"}, "limit": 2},
        example_answer={
            "datum": "GCJ-02",
            "outlets": [
                {
                    "outlet": "YH0001",
                    "name": "云河供电营业厅",
                    "area": "990101",
                    "area_name": "云河区",
                    "address": "云河市云河区人民路18号",
                    "phone": "0990-95598001",
                    "hours": "周一至周日 08:30-17:30",
                    "services": ["电费缴纳", "业务咨询", "发票开具", "报装受理"],
                    "latitude": 30.5132,
                    "longitude": 114.4021,
                    "distance_m": 380,
                },
                {
                    "outlet": "YH0002",
                    "name": "学府路营业厅",
                    "area": "990101",
                    "area_name": "云河区",
                    "address": "云河市云河区学府路66号",
                    "phone": "0990-95598002",
                    "hours": "周一至周五 08:30-17:00",
                    "services": ["电费缴纳", "业务咨询"],
                    "latitude": 30.5287,
                    "longitude": 114.3876,
                    "distance_m": 2162,
                },
            ],
        },
        refusals=(NO_SUCH_AREA,),
        scope="public",
        cacheable=True,
    ),
    Operation(
        name="outage-notices",
        kind=Kind.QUERY,
        summary="Planned and unplanned outages, by account, by area or by days",
        summary_zh="查询停电公告：按户号、按区域或按时间",
        request=OutagesQuery,
        response=Outages,
        example={"account": "3210000000001", "first_day": "2026-07-15", "last_day": "2026-07-31"},
        example_answer={
            "account": "3210000000001",
            "notices": [
                {
                    "notice": "TD000006",
                    "kind": "planned",
                    "begin": "2026-07-24 08:00:00",
                    "end": "2026-07-24 18:00:00",
                    "areas": [
                        {"area": "990104", "name": "北桥区", "streets": []},
                        {"area": "990106", "name": "新港区", "streets": []},
                    ],
                    "reason": "计划检修：变电站主变检修",
                }
            ],
        },
        refusals=(NO_SUCH_ACCOUNT, NO_SUCH_AREA, NOT_BY_ACCOUNT),
        scope="public",
        field_scopes={"account": "outages"},  # the answer tells that there is such an account, and where it lies
        cacheable=True,
    ),
    Operation(
        name="news-list",
        kind=Kind.QUERY,
        summary="The news, page by page, the latest first",
        summary_zh="分页查询资讯与公告，最新的在前",
        request=NewsListQuery,
        response=NewsList,
        example={"page": 1, "page_size": 2},
        example_answer={
            "total": 7,
            "items": [
                {
                    "news": "7",
                    "title": "高温天气用电小贴士",
                    "published_on": "2026-07-06",
                    "category": "新闻",
                    "summary": "空调温度设在26摄氏度以上，既舒适又节能。 用电高峰时段请错",
                },
                {
                    "news": "6",
                    "title": "关于调整部分营业厅营业时间的公告",
                    "published_on": "2026-06-18",
                    "category": "公告",
                    "summary": "七月起： 一、北桥、南塘营业厅周六照常营业； 二、学府路营业",
                },
            ],
        },
        refusals=(NO_SUCH_CATEGORY,),
        scope="public",
        cacheable=True,
    ),
    Operation(
        name="news-item",
        kind=Kind.QUERY,
        summary="One of the news in full",
        summary_zh="查询一条资讯的全文",
        request=NewsItemQuery,
        response=NewsItem,
        example={"news": "6"},
        example_answer={
            "news": "6",
            "title": "关于调整部分营业厅营业时间的公告",
            "published_on": "2026-06-18",
            "category": "公告",
            "body": "七月起：\n一、北桥、南塘营业厅周六照常营业；\n二、学府路营业厅周末休息。\n\n"
            "给您带来的不便，敬请谅解。",
        },
        refusals=(NO_SUCH_NEWS,),
        scope="public",
        cacheable=True,
    ),
    Operation(
        name="faq",
        kind=Kind.QUERY,
        summary="Questions often asked, by category or word",
        summary_zh="按类别或关键字查询常见问题",
        request=FaqQuery,
        response=Questions,
        example={"keyword": "停电"},
        example_answer={
            "items": [
                {
                    "category": "停电报修",
                    "question": "家里停电了怎么办？",
                    "answer": "先看邻居家是否有电：\n都没电，请查询停电公告或报修；\n只有自家没电，请检查空气开关。",
                },
                {
                    "category": "停电报修",
                    "question": "怎样提前知道计划停电？",
                    "answer": "计划停电提前公告，可按户号或区域查询。",
                },
            ]
        },
        refusals=(NO_SUCH_CATEGORY,),
        scope="public",
        cacheable=True,
    ),
    Operation(
        name="policy-texts",
        kind=Kind.QUERY,
        summary="Policies and prices in full, by category or word",
        summary_zh="按类别或关键字查询政策与电价文件全文",
        request=PoliciesQuery,
        response=Policies,
        example={"category": "电价政策", "page_size": 1},
        example_answer={
            "total": 2,
            "policies": [
                {
                    "policy": "ZC0001",
                    "category": "电价政策",
                    "title": "居民阶梯电价说明",
                    "issuer": "云河市供电公司",
                    "document": "云供营〔2012〕6号",
                    "issued_on": "2012-06-20",
                    "in_force_from": "2012-07-01",
                    "body": "一、每月用电量240千瓦时及以下，每千瓦时0.4883元。\n"
                    "二、241至400千瓦时，每千瓦时0.5383元。\n三、超过400千瓦时，每千瓦时0.7883元。",
                }
            ],
        },
        refusals=(NO_SUCH_CATEGORY,),
        scope="public",
        cacheable=True,
    ),
)
