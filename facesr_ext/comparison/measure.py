"""What is known of one method's result for one image; only what is not known yet is computed."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from facesr_ext.comparison.cache import Cache, Entry, metric_key, pixels_key
from facesr_ext.comparison.methods import OpenMethod
from facesr_ext.comparison.results import ResultFolder
from facesr_ext.comparison.sets import OpenSet, Pair
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.errors import DatasetError
from facesr_ext.imaging import to_images, to_tensor
from facesr_ext.metrics.metric_info import Metrics, missing_needs, needs_reference
from facesr_ext.models.device import describe_device
from facesr_ext.settings.comparison import CompareFile

CACHE = 'cache'
_TRUTH = 'ground_truth'


class Measuring:
    """Results of methods for images: made, measured, timed and kept.

    Args:
        file (CompareFile): What is measured.
        folder (ResultFolder): Where cache and images are.
        device (torch.device): Where networks run.

    Attributes:
        metrics (Metrics): Those of the file.
        keys (dict): Metric -> its key in entries.
        machine (str): What times are taken on, in words.
    """

    def __init__(self, file: CompareFile, folder: ResultFolder, device: torch.device) -> None:
        self.file, self.folder, self.device = file, folder, device
        self.metrics = Metrics(file.val.metrics)
        # what a missing package leaves empty is measured once that is there
        self.keys = {
            name: metric_key({**section, 'missing': missing_needs(section)})
            for name, section in file.val.metrics.items()
        }
        self.machine = f'{describe_device(device)}, {file.precision}'
        self._caches: dict[str, Cache] = {}
        self._warm: set[tuple[str, tuple[int, ...]]] = set()

    def result(self, method: OpenMethod, one: OpenSet, pair: Pair, timed: bool) -> Entry:
        """A method's result for an image.

        Args:
            method (OpenMethod): One that could be opened.
            one (OpenSet): The image's set.
            pair (Pair): The image.
            timed (bool): Take its time where this machine has not.

        Raises:
            FaceSRError: The network does not take the image.
            RuntimeError: As torch does where memory is short.
        """
        cache, key = self._cache(method.key), pixels_key(pair.lq, pair.gt)
        entry = cache[key]
        missing = [name for name in self.keys if self._lacks(entry, name, pair)]
        stale = timed and self.machine not in entry.seconds
        kept = self.folder.image(one.facts.name, method.place, pair.name)
        there = kept.is_file() or not self.file.val.save_img
        if entry.result and there and not missing and not stale:
            return entry
        image = None if stale else self._known(entry, kept)
        if image is None:
            image = self._make(method, one, pair, entry)
            self.keep(one, method.place, pair.name, image)
        self._measure(entry, missing, image, pair)
        cache.write(key)
        return entry

    def truth(self, image: np.ndarray) -> Entry:
        """What metrics of whole sets need of an image that is no result."""
        cache, key = self._cache(_TRUTH), pixels_key(image)
        entry = cache[key]
        missing = [name for name in self.metrics.set_metrics if self.keys[name] not in entry.features]
        for name in missing:
            entry.features[self.keys[name]] = self.metrics.features(name, image)
        if missing:
            cache.write(key)
        return entry

    def keep(self, one: OpenSet, what: str, name: str, image: np.ndarray) -> None:
        """Writes an image where results are kept, unless the same is there."""
        path = self.folder.image(one.facts.name, what, name)
        if not self.file.val.save_img or path.is_file() and np.array_equal(_read(path), image):
            return
        write_image(path, image)

    def _cache(self, key: str) -> Cache:
        if key not in self._caches:
            self._caches[key] = Cache(self.folder.root / CACHE, key)
        return self._caches[key]

    def _lacks(self, entry: Entry, name: str, pair: Pair) -> bool:
        if name in self.metrics.set_metrics:
            return self.keys[name] not in entry.features
        has = pair.gt is not None or not needs_reference(str(self.file.val.metrics[name]['type']))
        return has and self.keys[name] not in entry.figures

    def _known(self, entry: Entry, kept: Path) -> np.ndarray | None:
        """The result from its file, where that is what was measured."""
        image = _read(kept) if entry.result and kept.is_file() else np.empty(0)
        return image if pixels_key(image) == entry.result else None

    def _make(self, method: OpenMethod, one: OpenSet, pair: Pair, entry: Entry) -> np.ndarray:
        """The result and its seconds; the first image of a size is run once before."""
        if one.enlarged and method.is_bicubic:
            image, seconds = pair.lq, math.nan  # it is what enlarging has made of the small one
        else:
            assert method.restorer is not None
            batch, restore = to_tensor(pair.lq)[None].to(self.device), method.restorer.restore_batch
            if (method.key, pair.lq.shape) not in self._warm:
                restore(batch, one.enlarged)
                self._warm.add((method.key, pair.lq.shape))
            self._wait()
            start = time.perf_counter()
            sr = restore(batch, one.enlarged)
            self._wait()
            image, seconds = to_images(sr)[0], time.perf_counter() - start
        entry.result = pixels_key(image)
        entry.seconds[self.machine] = seconds
        return image

    def _wait(self) -> None:
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)

    def _measure(self, entry: Entry, missing: Sequence[str], result: np.ndarray, pair: Pair) -> None:
        """What is missing of an entry; metrics that need no GT are given the result twice."""
        gt = result if pair.gt is None else pair.gt
        for name, value in self.metrics.measure(result, gt, missing).items():
            entry.figures[self.keys[name]] = value
        for name in missing:
            if name in self.metrics.set_metrics:
                entry.features[self.keys[name]] = self.metrics.features(name, result)


def _read(path: Path) -> np.ndarray:
    """An image; an empty one where the file is broken."""
    try:
        return read_image(path)
    except DatasetError:
        return np.empty(0)
