"""Drawn codes: their size, and that readers read them."""

import io

import pytest
import zxingcpp
from PIL import Image

from intranet_bridge.qr import codes, images
from protocol.qr import QrKey

BASE = "https://pay.example.cn/q/"
URL = BASE + codes.code(QrKey("1", b"k" * 32), "power-yunhe", "3210000000003", 1).text


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("L")


def decoded(image: Image.Image) -> str:
    return str(zxingcpp.read_barcode(image).text)  # type: ignore[union-attr]


def test_a_code_is_410_pixels_and_35_mm_at_300_dpi() -> None:
    image = Image.open(io.BytesIO(images.png(URL)))
    assert image.size == (410, 410)
    assert round(image.info["dpi"][0]) == 300
    assert pytest.approx(34.7, abs=0.1) == 410 / 300 * 25.4


def test_modules_too_small_to_be_read_are_refused() -> None:
    with pytest.raises(images.TooFine, match=r"0\.25 mm"):
        images.png(URL, pixels_per_module=3, dpi=300)
    assert images.module_mm(4, 300) > 0.33


def _jpeg(image: Image.Image) -> Image.Image:
    made = io.BytesIO()
    image.save(made, "JPEG", quality=50)
    return opened(made.getvalue())


@pytest.mark.parametrize("account", ["3210000000001", "0310000000001", "Z05396-0", "54114172"])
def test_every_png_decodes(account: str) -> None:
    """As drawn, at half size, rotated, and as a poor JPEG."""
    url = BASE + codes.code(QrKey("1", b"k" * 32), "power-yunhe", account, 1).text
    image = opened(images.png(url))
    assert decoded(image) == url
    assert decoded(image.resize((image.width // 2, image.height // 2))) == url
    for angle in (17, 90, 180):
        assert decoded(image.rotate(angle, expand=True, fillcolor=255)) == url
    assert decoded(_jpeg(image)) == url
