"""The sizes of faces that suit a network."""

from __future__ import annotations

import math

from facesr_ext.inference.restorer import Restorer

USUAL = 512
"""Side of the faces that a network was trained on, where its checkpoint does not say so, pixels."""
_LEAST_FED = 16  # px of a face: the least that a network is fed
_SHARPER = 1.5  # times the pixels that enlarged faces of the training had: sharper ones are overdone


class FaceSizes:
    """What is known of a network's sizes, all in pixels of the side of a square face.

    Args:
        restorer (Restorer): The network, with what its checkpoint says of the training.

    Attributes:
        least, trained (int): The smallest and the largest whole face of the training, also where it saw parts alone;
            the smallest is that of the checkpoint's ``least_face`` where it has one.
    """

    def __init__(self, restorer: Restorer) -> None:
        self.info, self.scale = restorer.info, restorer.scale
        self.least, self.trained = self._of_training(restorer.metadata.get('trained_on'))
        stated = restorer.metadata.get('least_face')
        if isinstance(stated, int) and not self.info.sizes.fixed:
            self.least = min(max(stated, self.least), self.trained)

    def _of_training(self, trained: object) -> tuple[int, int]:
        if self.info.sizes.fixed:
            side = self.info.sizes.fixed * (1 if self.info.input == 'enlarged' else self.scale)
            return side, side
        trained = trained if isinstance(trained, dict) else {}
        size, shares = trained.get('image_size'), trained.get('crop_scale') or 1.0
        low, high = shares if isinstance(shares, (list, tuple)) else (shares, shares)
        if not isinstance(size, int) or size < 1 or not 0 < low <= high <= 1:
            return USUAL, USUAL
        return round(size / high), round(size / low)

    def largest_gain(self) -> int:
        """The largest face that the network makes better."""
        if self.info.input == 'small' or self.scale == 1:
            return self.trained
        return max(_LEAST_FED, round(_SHARPER * self.trained / self.scale))

    def fed(self, side: float, place: float) -> int:
        """The square that the network is given: never fewer pixels than the face has.

        A network that takes the enlarged face is given no more than the result has room for, within what it was
        trained on.

        Args:
            side (float): Of the face in the photograph.
            place (float): Of its place in the result.
        """
        if self.info.sizes.fixed:
            return self.info.sizes.fixed
        fitting = min(max(place, self.least), self.trained)
        size = float(max(side, fitting if self.info.input == 'enlarged' else _LEAST_FED))
        step = max(4, 2 ** (math.floor(math.log2(size)) - 3))  # eight sizes from one power of 2 to the next
        step = math.lcm(step, self.info.sizes.multiple_of)
        return math.ceil(size / step) * step
