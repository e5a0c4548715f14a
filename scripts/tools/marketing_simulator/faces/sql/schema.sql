-- Interface tables (接口表) between the marketing system and its neighbours.
--
-- The neighbours SELECT from the read tables, and INSERT into the request tables, whose rows the marketing system takes
-- up, carries out and answers; nothing else is theirs. The marketing system keeps the read tables up to date: after
-- every change, before the request that made it is answered, and anew when the business day begins.
--
-- Plain SQL of SQLite, PostgreSQL, MySQL and MariaDB. Days are YYYY-MM-DD, months YYYYMM, times YYYY-MM-DD hh:mm:ss in
-- China Standard Time, all as text. The database must tell a from A (MySQL: COLLATE utf8mb4_bin). Amounts are whole fen (分). kWh are text, exact: 12.34. A *_LIST is JSON.

-- ---------------------------------------------------------------------------------------------------------------------
-- Read tables: one account's
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE INF_CONS (                       -- archive 用户档案
    CONS_NO       VARCHAR(13)  NOT NULL PRIMARY KEY,
    CONS_NAME     VARCHAR(64)  NOT NULL,
    ELEC_ADDR     VARCHAR(256) NOT NULL,      -- as far as the street
    MOBILE_NO     VARCHAR(20)  NOT NULL,      -- masked
    CONS_STATUS   VARCHAR(1)   NOT NULL       -- 1 open, 9 closed
);

CREATE TABLE INF_BILL (                       -- bills 电费账单, the last 24 months
    CONS_NO       VARCHAR(13)  NOT NULL,
    AMT_YM        VARCHAR(6)   NOT NULL,
    PAY_STAT      VARCHAR(2)   NOT NULL,      -- 01 paid, 02 due, 03 overdue
    T_PQ          INTEGER      NOT NULL,
    RCVBL_AMT     BIGINT       NOT NULL,
    PENALTY_AMT   BIGINT       NOT NULL,
    BGN_READ      INTEGER      NOT NULL,
    END_READ      INTEGER      NOT NULL,
    MR_DATE       VARCHAR(10)  NOT NULL,
    RLS_DATE      VARCHAR(10)  NOT NULL,      -- issued
    DUE_DATE      VARCHAR(10)  NOT NULL,
    PAY_DATE      VARCHAR(10),
    LVL1_PQ       INTEGER,                    -- of each tier 阶梯: kWh, price in yuan, amount
    LVL1_PRC      VARCHAR(12),
    LVL1_AMT      BIGINT,
    LVL2_PQ       INTEGER,
    LVL2_PRC      VARCHAR(12),
    LVL2_AMT      BIGINT,
    LVL3_PQ       INTEGER,
    LVL3_PRC      VARCHAR(12),
    LVL3_AMT      BIGINT,
    PRIMARY KEY (CONS_NO, AMT_YM)
);

CREATE TABLE INF_OWE (                        -- unpaid bills 欠费, the penalty as of the business day
    CONS_NO       VARCHAR(13)  NOT NULL,
    AMT_YM        VARCHAR(6)   NOT NULL,
    RCVBL_AMT     BIGINT       NOT NULL,
    PENALTY_AMT   BIGINT       NOT NULL,
    TOT_AMT       BIGINT       NOT NULL,
    DUE_DATE      VARCHAR(10)  NOT NULL,
    CALC_DATE     VARCHAR(10)  NOT NULL,
    PRIMARY KEY (CONS_NO, AMT_YM)
);

CREATE TABLE INF_BAL (                        -- balance 账户余额, what is owed as of the business day
    CONS_NO       VARCHAR(13)  NOT NULL PRIMARY KEY,
    CALC_TIME     VARCHAR(19)  NOT NULL,
    PRE_BAL       BIGINT       NOT NULL,      -- paid in advance
    RTN_BAL       BIGINT       NOT NULL,      -- to be given back
    OWE_AMT       BIGINT       NOT NULL,      -- with the penalty
    ACCT_BAL      BIGINT       NOT NULL
);

CREATE TABLE INF_INV (                        -- invoices asked for 电子发票, of the last 24 months
    APL_NO        VARCHAR(20)  NOT NULL PRIMARY KEY,
    CONS_NO       VARCHAR(13)  NOT NULL,
    YM_LIST       TEXT         NOT NULL,
    BUYER_NAME    VARCHAR(100) NOT NULL,
    INV_AMT       BIGINT       NOT NULL,
    INV_STATUS    VARCHAR(2)   NOT NULL,      -- 01 asked for, 02 issued
    APL_TIME      VARCHAR(19)  NOT NULL,
    INV_DATE      VARCHAR(10),
    INV_NO        VARCHAR(40)
);

CREATE TABLE INF_INV_MON (                    -- the months of each
    CONS_NO       VARCHAR(13)  NOT NULL,
    AMT_YM        VARCHAR(6)   NOT NULL,
    APL_NO        VARCHAR(20)  NOT NULL,
    PRIMARY KEY (CONS_NO, AMT_YM, APL_NO)
);

CREATE TABLE INF_PAY_FLOW (                   -- what was paid 缴费记录
    CONS_NO       VARCHAR(13)  NOT NULL,
    ROW_NO        INTEGER      NOT NULL,      -- from 1, the latest first
    PAY_DATE      VARCHAR(10)  NOT NULL,
    AMT_YM        VARCHAR(6),                 -- null: became credit
    PAY_AMT       BIGINT       NOT NULL,
    PRIMARY KEY (CONS_NO, ROW_NO)
);

CREATE TABLE INF_CHNL_PAY (                   -- payments of channels 渠道缴费
    PAY_NO        VARCHAR(20)  NOT NULL PRIMARY KEY,
    CONS_NO       VARCHAR(13)  NOT NULL,
    REQ_ID        VARCHAR(64)  NOT NULL,
    CHNL_CODE     VARCHAR(32)  NOT NULL,
    CHNL_SEQ      VARCHAR(64)  NOT NULL,
    CHNL_LINE     INTEGER      NOT NULL,
    PAY_TYPE      VARCHAR(2)   NOT NULL,      -- 01 write-off, 02 prepayment
    PAY_STATUS    VARCHAR(1)   NOT NULL,      -- 1 booked, 9 reversed
    PAY_AMT       BIGINT       NOT NULL,
    PAY_TIME      VARCHAR(19)  NOT NULL,
    ACCT_DATE     VARCHAR(10)  NOT NULL,
    PRE_AMT       BIGINT       NOT NULL,
    STL_LIST      TEXT         NOT NULL,      -- bills it settled: amtYm rcvblAmt penaltyAmt
    REV_DATE      VARCHAR(10),
    UNIQUE (CHNL_CODE, CHNL_SEQ, CHNL_LINE)
);

CREATE TABLE INF_CHNL_PAY_REQ (               -- every request that was answered with a payment
    REQ_ID        VARCHAR(64)  NOT NULL PRIMARY KEY,
    PAY_NO        VARCHAR(20)  NOT NULL
);

CREATE TABLE INF_PQ_MON (                     -- consumption by months 月电量
    CONS_NO       VARCHAR(13)  NOT NULL,
    AMT_YM        VARCHAR(6)   NOT NULL,
    T_PQ          VARCHAR(16)  NOT NULL,
    LST_YR_PQ     VARCHAR(16),                -- the same month a year before
    LVL1_PQ       VARCHAR(16),
    LVL2_PQ       VARCHAR(16),
    LVL3_PQ       VARCHAR(16),
    PRIMARY KEY (CONS_NO, AMT_YM)
);

CREATE TABLE INF_PQ_DAY_MON (                 -- months of which days are here 日电量: the running one and two before
    CONS_NO       VARCHAR(13)  NOT NULL,
    YM            VARCHAR(6)   NOT NULL,
    T_PQ          VARCHAR(16)  NOT NULL,
    END_FLAG      VARCHAR(1)   NOT NULL,      -- 1 the month is over, 0 its days until yesterday
    PRIMARY KEY (CONS_NO, YM)
);

CREATE TABLE INF_PQ_DAY (
    CONS_NO       VARCHAR(13)  NOT NULL,
    PQ_DATE       VARCHAR(10)  NOT NULL,
    YM            VARCHAR(6)   NOT NULL,
    PQ            VARCHAR(16)  NOT NULL,
    PRIMARY KEY (CONS_NO, PQ_DATE)
);

CREATE TABLE INF_PQ_RT (                      -- the month so far and what it costs 实时电费, of open accounts
    CONS_NO       VARCHAR(13)  NOT NULL PRIMARY KEY,
    YM            VARCHAR(6)   NOT NULL,
    CALC_TIME     VARCHAR(19)  NOT NULL,
    T_PQ          VARCHAR(16)  NOT NULL,
    T_AMT         BIGINT       NOT NULL,
    LVL_LIST      TEXT         NOT NULL,      -- lvl prdType pq amt
    MR_NUM        VARCHAR(16),
    PRE_BAL       BIGINT       NOT NULL,
    EST_BAL       BIGINT       NOT NULL
);

CREATE TABLE INF_PRC (                        -- its tariff, and where it stands in it 执行电价, of open accounts
    CONS_NO       VARCHAR(13)  NOT NULL PRIMARY KEY,
    PRC_NAME      VARCHAR(64)  NOT NULL,
    CYC_TYPE      VARCHAR(1)   NOT NULL,      -- M month, Y year
    CYC_BGN       VARCHAR(10)  NOT NULL,
    CYC_END       VARCHAR(10)  NOT NULL,
    CALC_TIME     VARCHAR(19)  NOT NULL,
    USED_PQ       VARCHAR(16)  NOT NULL,
    LVL_LIST      TEXT         NOT NULL,      -- lvl bgnPq endPq prc usedPq
    PRD_LIST      TEXT         NOT NULL,      -- prdType bgnTime endTime prcList[] lvl prc
    NEXT_LVL      INTEGER      NOT NULL,
    NEXT_PRD      VARCHAR(1),                 -- as of CALC_TIME
    NEXT_PRC      VARCHAR(12)  NOT NULL,
    LEFT_PQ       VARCHAR(16)
);

CREATE TABLE INF_MR (                         -- meter readings 抄表
    CONS_NO       VARCHAR(13)  NOT NULL,
    MR_DATE       VARCHAR(10)  NOT NULL,
    MR_NUM        VARCHAR(16)  NOT NULL,
    MR_TYPE       VARCHAR(2)   NOT NULL,      -- 01 read, 02 estimated, 03 the customer's
    PRIMARY KEY (CONS_NO, MR_DATE)
);

CREATE TABLE INF_POINT (                      -- points 积分, of open accounts
    CONS_NO       VARCHAR(13)  NOT NULL PRIMARY KEY,
    POINTS        INTEGER      NOT NULL
);

CREATE TABLE INF_OUTAGE_CONS (                -- accounts an outage is about 停电用户
    CONS_NO       VARCHAR(13)  NOT NULL,
    OUTAGE_NO     VARCHAR(20)  NOT NULL,
    PRIMARY KEY (CONS_NO, OUTAGE_NO)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Read tables: what is in work
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE INF_WO (                         -- work orders 工单
    WO_NO          VARCHAR(20) NOT NULL PRIMARY KEY,
    CONS_NO        VARCHAR(13),
    WO_TYPE        VARCHAR(2)  NOT NULL,
    WO_STATUS      VARCHAR(2)  NOT NULL,      -- 10 accepted, 20 in work, 30 filed, 40 cancelled
    WO_STATUS_NAME VARCHAR(20) NOT NULL,
    ACCEPT_TIME    VARCHAR(19) NOT NULL
);

CREATE TABLE INF_WO_NODE (                    -- the nodes reached 环节
    WO_NO          VARCHAR(20) NOT NULL,
    NODE_NO        INTEGER     NOT NULL,
    NODE_NAME      VARCHAR(40) NOT NULL,
    NODE_TIME      VARCHAR(19) NOT NULL,
    PRIMARY KEY (WO_NO, NODE_NO)
);

CREATE TABLE INF_APP (                        -- applications 业扩报装
    APP_NO          VARCHAR(20) NOT NULL PRIMARY KEY,
    APP_TYPE        VARCHAR(3)  NOT NULL,
    APP_STATUS      VARCHAR(2)  NOT NULL,     -- 10 papers are missing, 20 in work, 30 finished
    APP_STATUS_NAME VARCHAR(20) NOT NULL,
    WAIT_FOR        VARCHAR(400)
);

CREATE TABLE INF_APP_NODE (
    APP_NO          VARCHAR(20) NOT NULL,
    NODE_NO         INTEGER     NOT NULL,
    NODE_NAME       VARCHAR(40) NOT NULL,
    PLAN_DATE       VARCHAR(19) NOT NULL,
    DONE_DATE       VARCHAR(19),
    PRIMARY KEY (APP_NO, NODE_NO)
);

CREATE TABLE INF_APP_LACK (                   -- its missing papers 待补资料
    APP_NO          VARCHAR(20) NOT NULL,
    DATA_NO         VARCHAR(20) NOT NULL,
    DATA_NAME       VARCHAR(64) NOT NULL,
    PRIMARY KEY (APP_NO, DATA_NO)
);

CREATE TABLE INF_APP_PAPER (                  -- what an application needs 报装资料; none: it is not offered
    APP_TYPE        VARCHAR(3)  NOT NULL,
    CUST_TYPE       VARCHAR(1)  NOT NULL,     -- 1 person, 2 company
    ROW_NO          INTEGER     NOT NULL,
    DATA_NO         VARCHAR(20) NOT NULL,
    DATA_NAME       VARCHAR(64) NOT NULL,
    MUST_FLAG       VARCHAR(1)  NOT NULL,
    REMARK          VARCHAR(200),
    PRIMARY KEY (APP_TYPE, CUST_TYPE, ROW_NO)
);

CREATE TABLE INF_THEFT (                      -- reports of theft 窃电举报
    RPT_NO          VARCHAR(40) NOT NULL PRIMARY KEY,
    RPT_STATUS      VARCHAR(2)  NOT NULL,
    RPT_STATUS_NAME VARCHAR(20) NOT NULL
);

CREATE TABLE INF_THEFT_NODE (
    RPT_NO          VARCHAR(40) NOT NULL,
    NODE_NO         INTEGER     NOT NULL,
    NODE_NAME       VARCHAR(40) NOT NULL,
    NODE_TIME       VARCHAR(19) NOT NULL,
    PRIMARY KEY (RPT_NO, NODE_NO)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Read tables: users of the apps
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE INF_BIND (                       -- accounts bound 绑定户号; names and addresses masked
    APP_USER      VARCHAR(64)  NOT NULL,
    CONS_NO       VARCHAR(13)  NOT NULL,
    CONS_NAME     VARCHAR(64)  NOT NULL,
    ELEC_ADDR     VARCHAR(256) NOT NULL,
    BIND_TIME     VARCHAR(19)  NOT NULL,
    PRIMARY KEY (APP_USER, CONS_NO)
);

CREATE TABLE INF_REAL_NAME (                  -- users whose name is verified 实名
    APP_USER      VARCHAR(64)  NOT NULL PRIMARY KEY,
    CUST_NAME     VARCHAR(64)  NOT NULL,      -- masked
    RN_TIME       VARCHAR(19)  NOT NULL
);

CREATE TABLE INF_MATCH (                      -- what a match token that is good may bind 匹配结果
    MATCH_TOKEN   VARCHAR(128) NOT NULL,
    CONS_NO       VARCHAR(13)  NOT NULL,
    APP_USER      VARCHAR(64)  NOT NULL,
    EXP_TIME      VARCHAR(19)  NOT NULL,
    CONS_NAME     VARCHAR(64)  NOT NULL,
    ELEC_ADDR     VARCHAR(256) NOT NULL,
    PRIMARY KEY (MATCH_TOKEN, CONS_NO)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Read tables: what anybody may know
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE INF_DAY (                        -- one row: the business day 营业日期, and the last for which outages are told
    BIZ_DATE      VARCHAR(10)  NOT NULL PRIMARY KEY,   -- where nobody says until when
    OUTAGE_DATE   VARCHAR(10)  NOT NULL
);

CREATE TABLE INF_AREA (
    AREA_CODE     VARCHAR(6)   NOT NULL PRIMARY KEY,
    AREA_NAME     VARCHAR(40)  NOT NULL
);

CREATE TABLE INF_TYPE (                       -- categories 类别: KIND news (of news), text (of questions and policies)
    KIND          VARCHAR(8)   NOT NULL,
    TYPE_CODE     VARCHAR(2)   NOT NULL,
    TYPE_NAME     VARCHAR(40)  NOT NULL,
    PRIMARY KEY (KIND, TYPE_CODE)
);

CREATE TABLE INF_OUTLET (                     -- outlets 营业网点
    OUTLET_NO     VARCHAR(20)  NOT NULL PRIMARY KEY,
    OUTLET_NAME   VARCHAR(64)  NOT NULL,
    AREA_CODE     VARCHAR(6)   NOT NULL,
    AREA_NAME     VARCHAR(40)  NOT NULL,
    ADDR          VARCHAR(256) NOT NULL,
    TEL           VARCHAR(30)  NOT NULL,
    BIZ_TIME      VARCHAR(64)  NOT NULL,
    BIZ_LIST      TEXT         NOT NULL,
    LAT           DOUBLE PRECISION NOT NULL,  -- GCJ-02
    LNG           DOUBLE PRECISION NOT NULL,
    LAT_M         DOUBLE PRECISION NOT NULL,  -- metres a degree of latitude, and of longitude there
    LNG_M         DOUBLE PRECISION NOT NULL
);

CREATE TABLE INF_OUTAGE (                     -- outages 停电公告 of 30 days ago and later
    OUTAGE_NO     VARCHAR(20)  NOT NULL PRIMARY KEY,
    OUTAGE_TYPE   VARCHAR(1)   NOT NULL,      -- 1 planned, 2 fault
    BGN_TIME      VARCHAR(19)  NOT NULL,
    END_TIME      VARCHAR(19),
    REASON        VARCHAR(200),
    AREA_LIST     TEXT         NOT NULL       -- areaCode areaName streetList[]
);

CREATE TABLE INF_OUTAGE_AREA (
    OUTAGE_NO     VARCHAR(20)  NOT NULL,
    AREA_CODE     VARCHAR(6)   NOT NULL,
    PRIMARY KEY (OUTAGE_NO, AREA_CODE)
);

CREATE TABLE INF_NEWS (                       -- news 资讯 that are published
    NEWS_ID        VARCHAR(20)  NOT NULL PRIMARY KEY,
    ROW_NO         INTEGER      NOT NULL,     -- from 1, the latest first
    NEWS_TYPE      VARCHAR(2)   NOT NULL,
    NEWS_TYPE_NAME VARCHAR(40)  NOT NULL,
    PUB_DATE       VARCHAR(10)  NOT NULL,
    TITLE          VARCHAR(200) NOT NULL,
    SUMMARY        VARCHAR(200) NOT NULL,
    CONTENT        TEXT         NOT NULL      -- lines end with CR LF, here and below
);

CREATE TABLE INF_FAQ (                        -- questions 常见问题
    FAQ_NO         INTEGER      NOT NULL PRIMARY KEY,
    FAQ_TYPE       VARCHAR(2)   NOT NULL,
    FAQ_TYPE_NAME  VARCHAR(40)  NOT NULL,
    QUESTION       VARCHAR(200) NOT NULL,
    ANSWER         TEXT         NOT NULL
);

CREATE TABLE INF_PLC (                        -- policies 政策文件 that are published
    PLC_NO         VARCHAR(20)  NOT NULL PRIMARY KEY,
    PLC_TYPE       VARCHAR(2)   NOT NULL,
    PLC_TYPE_NAME  VARCHAR(40)  NOT NULL,
    TITLE          VARCHAR(200) NOT NULL,
    ISSUE_ORG      VARCHAR(100) NOT NULL,
    DOC_NO         VARCHAR(100) NOT NULL,
    ISSUE_DATE     VARCHAR(10)  NOT NULL,
    EFF_DATE       VARCHAR(10)  NOT NULL,
    CONTENT        TEXT         NOT NULL
);

CREATE TABLE INF_GIFT (                       -- what there is for points 积分兑换项
    GIFT_CODE      VARCHAR(32)  NOT NULL PRIMARY KEY,
    GIFT_NAME      VARCHAR(64)  NOT NULL,
    GIFT_POINTS    INTEGER      NOT NULL
);

-- ---------------------------------------------------------------------------------------------------------------------
-- Request tables 请求表. A row is carried out once, by its REQ_ID.
--
-- STATUS 0 handed over, 1 carried out or refused (RTN_CODE 0000 or another, RTN_MSG), 9 system error: nothing was done.
-- ---------------------------------------------------------------------------------------------------------------------

CREATE TABLE INF_REQ (                        -- any business, its fields in one column
    REQ_ID        VARCHAR(64)  NOT NULL PRIMARY KEY,
    BIZ_CODE      VARCHAR(32)  NOT NULL,      -- CUST_BIND, WH_SIGN ...: README.md
    REQ_DATA      TEXT         NOT NULL,      -- JSON: the business's fields but reqId
    STATUS        VARCHAR(1)   DEFAULT '0' NOT NULL,
    RTN_CODE      VARCHAR(4),
    RTN_MSG       VARCHAR(400),
    RSP_DATA      TEXT,                       -- JSON: what is answered on success
    CREATE_TIME   TIMESTAMP    DEFAULT CURRENT_TIMESTAMP NOT NULL,
    DONE_TIME     VARCHAR(19)
);

CREATE TABLE INF_WO_REQ (                     -- work orders to create 工单受理
    REQ_ID        VARCHAR(64)  NOT NULL PRIMARY KEY,
    WO_TYPE       VARCHAR(2),
    CONS_NO       VARCHAR(20),
    CONTACT_NAME  VARCHAR(200),
    CONTACT_TEL   VARCHAR(40),
    ADDR          VARCHAR(400),
    CONTENT       VARCHAR(4000),
    APPLY_CAP     VARCHAR(20),
    STATUS        VARCHAR(1)   DEFAULT '0' NOT NULL,
    RTN_CODE      VARCHAR(4),
    RTN_MSG       VARCHAR(400),
    R_REQ_ID      VARCHAR(64),
    R_WO_NO       VARCHAR(20),
    R_ACCEPT_TIME VARCHAR(19),
    CREATE_TIME   TIMESTAMP    DEFAULT CURRENT_TIMESTAMP NOT NULL,
    DONE_TIME     VARCHAR(19)
);

CREATE TABLE INF_PAY_REQ (                    -- write-offs, prepayments, reversals 缴费、预存、冲正
    REQ_ID        VARCHAR(64)  NOT NULL PRIMARY KEY,
    BIZ_CODE      VARCHAR(32)  NOT NULL,      -- PAY_WRITEOFF, PAY_PREPAY, PAY_REVERSE
    CONS_NO       VARCHAR(20),
    PAY_AMT       BIGINT,
    CHNL_CODE     VARCHAR(64),
    CHNL_SEQ      VARCHAR(128),
    CHNL_LINE     INTEGER,
    PAY_TIME      VARCHAR(19),
    ACCT_DATE     VARCHAR(10),
    YM_LIST       VARCHAR(400),               -- months joined by commas
    REV_REASON    VARCHAR(2),
    REFUND_SEQ    VARCHAR(128),
    REV_TIME      VARCHAR(19),
    STATUS        VARCHAR(1)   DEFAULT '0' NOT NULL,
    RTN_CODE      VARCHAR(4),
    RTN_MSG       VARCHAR(400),
    R_REQ_ID      VARCHAR(64),
    R_CONS_NO     VARCHAR(13),
    R_CHNL_CODE   VARCHAR(32),
    R_CHNL_SEQ    VARCHAR(64),
    R_CHNL_LINE   INTEGER,
    R_PAY_AMT     BIGINT,
    R_PAY_NO      VARCHAR(20),
    R_REV_NO      VARCHAR(20),
    R_STL_LIST    TEXT,
    R_YM_LIST     TEXT,                       -- months whose bills are open again
    R_PRE_AMT     BIGINT,
    R_PRE_BAL     BIGINT,
    CREATE_TIME   TIMESTAMP    DEFAULT CURRENT_TIMESTAMP NOT NULL,
    DONE_TIME     VARCHAR(19)
);
