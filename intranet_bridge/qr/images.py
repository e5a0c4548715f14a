"""Drawing a code: a PNG for print, 300 dots an inch, so that a module is large enough for any phone. Pure.

An address of 53 bytes needs version 4 at level M: 41 modules with the quiet zone, 410 pixels, 35 mm.
"""

import io

import segno

from protocol.qr import LEAST_MODULE_MM

DPI = 300
PIXELS_PER_MODULE = 10
BORDER = 4
"""Modules of quiet zone on each side (ISO/IEC 18004)."""


class TooFine(ValueError):
    """The modules would be too small to be read for certain."""


def module_mm(pixels_per_module: int, dpi: int) -> float:
    """How wide a module is when it is printed. Raises TooFine."""
    width = pixels_per_module / dpi * 25.4
    if width < LEAST_MODULE_MM:
        raise TooFine(f"a module of {width:.2f} mm is too small: at least {LEAST_MODULE_MM} mm")
    return width


def png(url: str, *, pixels_per_module: int = PIXELS_PER_MODULE, dpi: int = DPI) -> bytes:
    """The QR code of an address. Level M, a higher one where it costs no larger symbol. Raises TooFine."""
    module_mm(pixels_per_module, dpi)
    made = io.BytesIO()
    segno.make_qr(url, error="m", boost_error=True).save(
        made, kind="png", scale=pixels_per_module, border=BORDER, dpi=dpi
    )
    return made.getvalue()
