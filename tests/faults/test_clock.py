"""A daemon's clock is set wrong and put right again: what runs by the clock goes on."""

import asyncio
from pathlib import Path

import httpx
import pytest

from scripts.tools.fault_campaign.faults import CLOCK
from scripts.tools.fault_campaign.site import Site
from tests.support.testbeds import LOOPBACK, eventually


def test_housekeeping_goes_on_after_a_clock_was_put_back(tmp_path: Path) -> None:
    """New applications are read every second; with timers by the wall clock that stops for ten minutes."""

    async def with_a_clock() -> None:
        site = Site(tmp_path / "site", disk_mb=32)
        try:
            await site.set_up({})
            if CLOCK in site.unavailable:
                pytest.skip(site.unavailable[CLOCK])
            await asyncio.to_thread(site.testbed.start)
            site.set_clock("front", 600)
            key = await asyncio.to_thread(site.testbed.ctl, "apps", "add", "second", "--scope", "bills")
            await asyncio.to_thread(known, site, key)
            site.set_clock("front", 0)
            key = await asyncio.to_thread(site.testbed.ctl, "apps", "add", "third", "--scope", "bills")
            await asyncio.to_thread(known, site, key)
        finally:
            await site.take_down()

    asyncio.run(with_a_clock())


def known(site: Site, key: str) -> None:
    headers = {"Authorization": f"Bearer {key.strip()}"}
    with httpx.Client(base_url=site.url, headers=headers, **LOOPBACK) as http:
        body = {"account": "3210000000002"}
        eventually(lambda: http.post("/v1/arrears-query", json=body).status_code != 401, 60, "the new key")
