"""Where things are in the project's folder."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CONF = ROOT / "activemq"
DOWNLOADS = ROOT / "var" / "broker"
ARCHIVE = DOWNLOADS / "classes.jsa"
"""The classes of the broker from Maven, ready to be mapped (JEP 350), if somebody has made it: scripts/test does."""
