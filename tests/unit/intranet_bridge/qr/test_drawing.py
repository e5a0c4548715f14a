"""The process that reads sheets and draws codes."""

import asyncio
import re
import signal
from pathlib import Path

import pytest

from intranet_bridge.qr import images
from intranet_bridge.qr.drawing import Drawing
from intranet_bridge.qr.verdicts import Form, SheetRefused

SAMPLES = Path(__file__).parents[3] / "data" / "qr"
FORM = Form(re.compile("[0-9]{10,13}"), 13)


def test_it_reads_draws_refuses_and_comes_again_after_it_was_killed() -> None:
    async def go() -> None:
        drawing = Drawing(pixels_per_module=10, dpi=300)
        try:
            rows = await drawing.rows((SAMPLES / "qr_wps.xlsx").read_bytes(), FORM)
            assert [row.account for row in rows] == ["3210000000001", "0310000000001", "3210000000003"]
            with pytest.raises(SheetRefused, match="not-xlsx"):
                await drawing.rows((SAMPLES / "qr_accounts_renamed.xlsx").read_bytes(), FORM)
            urls = ["https://pay.example.cn/q/a", "https://pay.example.cn/q/b"]
            assert await drawing.images(urls) == [images.png(url) for url in urls]
            process = drawing._process
            assert process is not None
            process.kill()
            await process.wait()
            with pytest.raises(SheetRefused, match="too-large"):  # it ended over this sheet, as far as anybody knows
                await drawing.rows(b"x", FORM)
            assert await drawing.images(urls[:1]) == [images.png(urls[0])]
        finally:
            await drawing.close()
        assert drawing._process is None

    asyncio.run(go())


def test_the_signal_that_stops_the_bridge_gets_no_sheet_refused() -> None:
    async def go() -> None:
        drawing = Drawing(pixels_per_module=10, dpi=300)
        try:
            await drawing.images(["https://pay.example.cn/q/a"])
            process = drawing._process
            assert process is not None
            process.send_signal(signal.SIGTERM)
            rows = await drawing.rows((SAMPLES / "qr_wps.xlsx").read_bytes(), FORM)
            assert (len(rows), drawing._process) == (3, process)
        finally:
            await drawing.close()

    asyncio.run(go())
