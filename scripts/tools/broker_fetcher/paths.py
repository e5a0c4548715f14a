"""Where things are in the project's folder."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CONF = ROOT / "activemq"
DOWNLOADS = ROOT / "var" / "broker"
