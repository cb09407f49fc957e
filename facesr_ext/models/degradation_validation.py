"""Validation of a high-to-low network: several results for each HR face, and how far they lie apart."""

from __future__ import annotations

from os import path as osp
from typing import TYPE_CHECKING, Any

import torch
from basicsr.utils import get_root_logger

from facesr_ext.data.image_io import write_image
from facesr_ext.errors import OptionError
from facesr_ext.imaging import to_images
from facesr_ext.models.batch import Batch, Output
from facesr_ext.models.validation import SHEET_ROWS, Validation

if TYPE_CHECKING:
    from facesr_ext.models.degradation_model import DegradationModel

DRAWS = 10
STD = 'std_z'


def spread(draws: torch.Tensor) -> float:
    """Standard deviation over the draws (K, 3, h, w) of each value of a pixel, their mean, in 8-bit units."""
    return float(draws.clamp(0, 1).mul(255).round().std(0).mean())


class DegradationValidation(Validation):
    """One pass over one set of HR faces.

    There is no true LR to compare with. The file, the log and TensorBoard have ``std_z``: how far ten results for the
    same face lie apart, the mean of the per-pixel standard deviation in 8-bit units. The contact sheet shows them
    beside the HR face and its average over scale x scale cells; a test writes the first of them as a picture.
    """

    model: DegradationModel

    def __init__(self, model: DegradationModel, dataloader: Any, current_iter: int | str) -> None:
        for key, reason in (
            ('metrics', 'there is no true LR to compare with, and std_z is always given'),
            ('tile', 'a high-to-low network takes whole faces'),
        ):
            if model.opt['val'].get(key):
                raise OptionError(f'{reason}; remove it', ('val', key))
        super().__init__(model, dataloader, current_iter)

    def _path(self, data: dict[str, Any]) -> str:
        path: str = data['gt_path'][0]
        return path

    def _take(self, path: str, batch: Batch, out: Output, save_img: bool) -> None:
        draws = self.model.draws(batch.lq, path, DRAWS)
        name = osp.splitext(osp.basename(path))[0]
        self.rows.append({'name': name, STD: spread(draws)})
        lqs = to_images(draws)
        if save_img:
            write_image(self._image_path(name), lqs[0])
        if len(self.sheet) < SHEET_ROWS and batch.gt is not None:
            self.titles = ['HR', 'HR averaged', *(f'z {i}' for i in range(1, DRAWS + 1))]
            self.sheet.append([to_images(batch.lq)[0], to_images(batch.gt)[0], *lqs])

    def _log(self, means: dict[str, float], tb_logger: Any) -> None:
        sheet = self._report_path('.png')
        get_root_logger().info(
            f'Validation {self.name}, {len(self.rows)} images\n\t # {STD}: {means[STD]:.4f} of 255, over {DRAWS} z a '
            f'face\n\t # sheet: {sheet}'
        )
        if tb_logger:
            tb_logger.add_scalar(f'metrics/{self.name}/{STD}', means[STD], self.current_iter)
