"""What every part of a report has in common."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Frozen; what a newer daemon says besides is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")
