"""What is measured of the LR faces that a degradation makes of one HR face; only what is not known yet is computed."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from facesr_ext.comparison.cache import Cache, Entry, metric_key, pixels_key
from facesr_ext.comparison.open_degradations import OpenDegradation
from facesr_ext.comparison.results import MetricFacts
from facesr_ext.errors import CheckpointError, DatasetError, DependencyError
from facesr_ext.imaging import imresize, quantize, to_images
from facesr_ext.metrics.diversity import (
    STATISTICS,
    content_error,
    pairwise_lpips,
    picture_statistics,
    spread,
    structure_share,
    tint_spread,
)
from facesr_ext.metrics.metric_info import Metrics, missing_needs, warn_once

KID, LPIPS, IDENTITY = 'kid_vgg16', 'lpips_alex', 'identity_distance'
MEASURES = (
    MetricFacts('std_z', 'spread', None, 'levels'),
    MetricFacts('structure_z', 'structure_share', None, 'levels'),
    MetricFacts('structure', 'structure_share', None, '%'),
    MetricFacts('tint_z', 'tint_spread', None, 'levels'),
    MetricFacts('lpips_z', LPIPS, None),
    MetricFacts('noise_z', 'picture_statistics', None, 'levels'),
    MetricFacts('sharpness_z', 'picture_statistics', None, 'levels'),
    MetricFacts('blockiness_z', 'picture_statistics', None),
    MetricFacts('noise', 'picture_statistics', None, 'levels'),
    MetricFacts('sharpness', 'picture_statistics', None, 'levels'),
    MetricFacts('blockiness', 'picture_statistics', None),
    MetricFacts('content', 'content_error', False, 'levels'),
    MetricFacts('identity', IDENTITY, False),
)
"""Columns of a value an HR face; KID has one for each pool of real LR faces besides."""
_REAL = 'real_lr'


def kid_column(pool: str) -> MetricFacts:
    """KID to a pool of real LR faces."""
    return MetricFacts(f'kid {pool}', KID, False, '', True)


class MeasuredDraws:
    """Measures draws and remembers them.

    Args:
        folder (Path): Of the comparison's cache.
        device (torch.device): Where degradations run.
        count (int): Draws of an HR face.

    Attributes:
        metrics (Metrics): KID and identity, as sections of metrics.
        keys (dict): Measure -> its key in entries.
    """

    def __init__(self, folder: Path, device: torch.device, count: int) -> None:
        self.folder, self.device, self.count = folder, device, count
        self.metrics = Metrics({KID: {'type': KID}, IDENTITY: {'type': IDENTITY}})
        # what a missing package leaves empty is measured once that is there
        self.keys = {
            one.name: metric_key({'measure': one.name, 'draws': count, 'missing': missing_needs({'type': one.type})})
            for one in (*MEASURES, MetricFacts(KID, KID, False))
        }
        self._caches: dict[str, Cache] = {}

    def of(self, degradation: OpenDegradation, name: str, hr: torch.Tensor) -> Entry:
        """What is known of a degradation's draws for an HR face (1, 3, H, W), whose name seeds them.

        Raises:
            DatasetError: for a size that it does not take, or LR faces that are not 1 / scale as large.
        """
        cache = self._cache(degradation.key)
        key = pixels_key(to_images(hr)[0], np.array([zlib.crc32(name.encode())], np.uint32))
        entry = cache[key]
        missing = [one.name for one in MEASURES if self.keys[one.name] not in entry.figures]
        if missing or self.keys[KID] not in entry.features:
            draws = self.draws(degradation, name, hr)
            found = measured(draws, hr, missing, self.metrics)
            entry.figures.update({self.keys[measure]: value for measure, value in found.items()})
            if self.keys[KID] not in entry.features:
                entry.features[self.keys[KID]] = self.metrics.features(KID, to_images(draws)[0])
            cache.write(key)
        return entry

    def draws(self, degradation: OpenDegradation, name: str, hr: torch.Tensor) -> torch.Tensor:
        """(K, 3, h, w) of `OpenDegradation.draws`, of the size that is expected; raises as `of` does."""
        draws = degradation.draws(hr.to(self.device), name, self.count)
        assert degradation.degradation is not None
        expected = tuple(side // degradation.degradation.scale for side in hr.shape[-2:])
        if tuple(draws.shape[-2:]) != expected:
            raise DatasetError(
                f'its LR faces have {draws.shape[-1]}x{draws.shape[-2]} px, others {expected[1]}x{expected[0]}: it '
                'brings them back to HR size; leave out enlarge'
            )
        return draws

    def real(self, image: torch.Tensor) -> Entry:
        """What is known of a real LR face (1, 3, h, w): its statistics, and its features for KID."""
        pixels = to_images(image)[0]
        cache, key = self._cache(_REAL), pixels_key(pixels)
        entry = cache[key]
        if self.keys[KID] not in entry.features:
            entry.features[self.keys[KID]] = self.metrics.features(KID, pixels)
            entry.figures.update(dict(zip(STATISTICS, picture_statistics(image), strict=True)))
            cache.write(key)
        return entry

    def figure(self, entry: Entry, measure: str) -> float:
        """The value of one of `MEASURES`; NaN where there is none."""
        return entry.figures.get(self.keys[measure], math.nan)

    def _cache(self, key: str) -> Cache:
        if key not in self._caches:
            self._caches[key] = Cache(self.folder, key)
        return self._caches[key]


def measured(draws: torch.Tensor, hr: torch.Tensor, names: Sequence[str], metrics: Metrics) -> dict[str, float]:
    """Some of `MEASURES`.

    Args:
        draws (Tensor): (K, 3, h, w), RGB, [0, 1], of 8 bit, K from 2 on.
        hr (Tensor): (1, 3, H, W), what they were made of.
        names (Sequence[str]): Which; LPIPS and identity are worked out only where they are asked for.
        metrics (Metrics): With that of identity.

    Returns:
        dict: Measure -> value; NaN, and a warning, where weights or packages are missing.
    """
    std, share = spread(draws), structure_share(draws)
    statistics = torch.tensor([picture_statistics(one[None]) for one in draws], dtype=torch.float64)
    found = {'std_z': std, 'structure_z': 0.0 if math.isnan(share) else std * share**0.5, 'structure': 100 * share}
    for number, name in enumerate(STATISTICS[1:], 1):
        found[name] = float(statistics[:, number].mean())
        found[f'{name}_z'] = float(statistics[:, number].std())
    found['tint_z'], found['content'] = tint_spread(draws), content_error(draws, hr)
    if 'lpips_z' in names:
        found['lpips_z'] = _lpips(draws)
    if 'identity' in names:
        large = quantize(imresize(draws[:1], (hr.shape[-2], hr.shape[-1])))
        result, truth = to_images(large)[0], to_images(hr)[0]
        found['identity'] = metrics.measure(result, truth, [IDENTITY])[IDENTITY]
    return {name: found[name] for name in names}


def _lpips(draws: torch.Tensor) -> float:
    """NaN, and a warning, where its weights are missing."""
    try:
        return pairwise_lpips(draws)
    except (DependencyError, CheckpointError) as err:
        warn_once(f'{LPIPS}: {err}')
        return math.nan
