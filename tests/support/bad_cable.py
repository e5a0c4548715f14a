"""A cable between two TAP devices that delays and loses frames, for kernels without `tc netem`.

bad_cable.py NAMESPACE NAMESPACE DEVICE DELAY_MS JITTER_MS LOSS_PERCENT
"""

import asyncio
import contextlib
import fcntl
import os
import random
import signal
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.namespaces import enter

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


def attach(namespace: str, device: str) -> int:
    """The file that gives and takes the frames of a TAP device."""
    enter(namespace)
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def put(tap: int, frame: bytes) -> None:
    """A device whose queue is full, or that is down, loses the frame: that is what cables do."""
    with contextlib.suppress(OSError):
        os.write(tap, frame)


async def carry(one: int, other: int, delay: float, jitter: float, loss: float) -> None:
    """For ever, both ways."""
    loop = asyncio.get_running_loop()
    chance = random.Random(1)

    def take(source: int, target: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                frame = os.read(source, 65536)
                if chance.random() >= loss:
                    loop.call_later(delay + chance.uniform(-jitter, jitter), put, target, frame)

    loop.add_reader(one, take, one, other)
    loop.add_reader(other, take, other, one)
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    print("ready", flush=True)
    await over.wait()


if __name__ == "__main__":
    first, second, name, *numbers = sys.argv[1:]
    delay_ms, jitter_ms, loss_percent = map(float, numbers)
    near, far = attach(first, name), attach(second, name)
    asyncio.run(carry(near, far, delay_ms / 1000, jitter_ms / 1000, loss_percent / 100))
