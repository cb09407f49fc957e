"""What the page allows a visitor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The bounds of the page.

    Attributes:
        megabytes (int): Of an uploaded file.
        megapixels (float): Of a photograph; some 30 bytes of memory are taken for each while it is restored.
        seconds (int): For the restoring of a photograph.
        waiting (int): Visitors that wait for their turn; photographs are restored one after another.
        minutes (int): After which a photograph that nobody has touched is deleted.
        disk_megabytes (int): Of all that visitors have on the disk together.
    """

    megabytes: int = 20
    megapixels: float = 25.0
    seconds: int = 120
    waiting: int = 20
    minutes: int = 15
    disk_megabytes: int = 2000

    @property
    def pixels(self) -> int:
        """Of a photograph."""
        return round(self.megapixels * 1e6)
