"""What a test needs of a model: a network, its input, its result, validation. Training is FaceSRModel's."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from os import path as osp
from typing import Any

import numpy as np
import torch
from basicsr.models.base_model import BaseModel
from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import arch_info, scale_argument
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import OptionError
from facesr_ext.host.memory import keep_freed_memory
from facesr_ext.host.parts import build_part
from facesr_ext.imaging import to_images, with_coordinates
from facesr_ext.metrics.metric_info import Metrics
from facesr_ext.models.batch import Batch, Output, images_given, on_device
from facesr_ext.models.budget import require_budget
from facesr_ext.models.device import busy_note, choose_device, describe_device, wrap_distributed
from facesr_ext.models.forward import cut_to_multiple, enlarge, mirror_mean, upscale
from facesr_ext.models.precision import Precision
from facesr_ext.models.priors import PriorTargets
from facesr_ext.models.tiles import Tiling
from facesr_ext.models.validation import BASELINE, Judged, Validation
from facesr_ext.runs.checkpoints import load_network
from facesr_ext.runs.described_options import complete
from facesr_ext.runs.folder import RunFolder, late_checkpoints
from facesr_ext.settings.reading import names_of, read
from facesr_ext.settings.top import FaceTestFile, FaceTrainFile
from facesr_ext.settings.val import TrainVal, Val


class FaceModel(BaseModel):
    """One super-resolution network and what becomes of an image: degradation, network, figures, files of results.

    Args:
        opt (dict): The option file: :class:`~facesr_ext.settings.top.FaceTestFile`, which may leave out what the
            checkpoint says; in training :class:`~facesr_ext.settings.top.FaceTrainFile`.

    Raises:
        OptionError: for options that do not fit.
        CheckpointError: for weights that do not.
    """

    TAKES_BYTES = True
    """The runner's training set may give images and masks as uint8."""
    opt: dict[str, Any]

    def __init__(self, opt: dict[str, Any]) -> None:
        opt = deepcopy(opt)
        taken = {} if opt['is_train'] else complete(opt)
        super().__init__(opt)
        for key, value in taken.items():
            get_root_logger().info(f'Taken from {opt["path"]["pretrain_network_g"]}: {key}: {value}')
        settings = self._read_options()
        self.device = choose_device(opt)
        get_root_logger().info(f'Machine: {describe_device(self.device)}')
        if opt['is_train'] and self.device.type == 'cpu':
            keep_freed_memory()
            note = busy_note()
            if note is not None:
                get_root_logger().warning(f'A busy machine: {note}.')
        self.scale = _given(settings.scale, 'scale')
        self.precision = Precision(opt, self.device)
        self.degradation = build_degradation(opt['degradation'], self.scale) if opt.get('degradation') else None
        self.folder = RunFolder.of(opt['path'])
        self.current_iter, self.cut_told = 0, False
        self.validated: dict[str, int | str] = {}
        self._baselines: dict[int, dict[str, float]] = {}  # by what they are of
        self.net_g = self._build_net('g')
        if opt['is_train']:
            self.precision.tell(self.device)
        net = self.get_bare_model(self.net_g)
        require_budget(net, settings.challenge.max_params)
        self.info = arch_info(net)
        if self.info.scale not in (1, self.scale):
            raise OptionError(
                f'built for scale {self.info.scale}, but scale is {self.scale}; make them agree',
                ('network_g', scale_argument(net)),
            )
        if self.val.tile:
            Tiling(self.val.tile.size, self.val.tile.overlap).require(('val', 'tile'), self.info.sizes.multiple_of)
        self.targets = self._build_targets(net)

    def _read_options(self) -> FaceTrainFile | FaceTestFile:
        """Reads what the file says, once, and says what is wrong with it."""
        kind: type[FaceTrainFile | FaceTestFile] = FaceTrainFile if self.is_train else FaceTestFile
        settings = read(kind, {key: self.opt[key] for key in names_of(kind) if key in self.opt})
        val = TrainVal if self.is_train else Val
        self.val = read(val, self.opt['val'], ('val',)) if self.opt.get('val') is not None else Val(save_img=False)
        self.metrics = Metrics(self.val.metrics)
        return settings

    def _build_targets(self, net: nn.Module) -> PriorTargets:
        return PriorTargets(net)

    @property
    def factor(self) -> int:
        """LR-to-result factor of what is computed now: ``scale``, unless the network is still to grow to it."""
        return self.scale

    def _build_net(self, label: str, penalised: bool = False) -> nn.Module:
        """Builds ``network_<label>``, brings it to the device and loads its ``pretrain_network_<label>``.

        Args:
            label (str): 'g', 'd'.
            penalised (bool): It is trained under a gradient penalty. Default: False.
        """
        section = f'network_{label}'
        net = build_part((section,), ARCH_REGISTRY, _given(self.opt.get(section), section))
        self.precision.require(section, net)
        if label == 'g':
            self.precision.keep_images_whole(net)
        self.precision.compile(net, penalised)
        net = self.model_to_device(self.precision.lay_out(net))
        self.print_network(net)
        path = self.opt['path'].get(f'pretrain_network_{label}')
        if path:
            count = self.val.average_last if label == 'g' and not self.is_train else None
            self._load(net, label, [path] if count is None else late_checkpoints(path, count), self._param_key(label))
        return net

    def _param_key(self, label: str) -> str | None:
        """Where a checkpoint's weights are: 'params' when resuming, else as told, else params_ema where it is there."""
        return 'params' if self.opt['path'].get('resume_state') else self.opt['path'].get(f'param_key_{label}')

    def _load(self, net: nn.Module, label: str, paths: Sequence[str], param_key: str | None) -> None:
        strict = self.opt['path'].get(f'strict_load_{label}', True)
        load_network(self.get_bare_model(net), paths, strict, param_key)

    def model_to_device(self, net: nn.Module) -> nn.Module:
        """Brings a network to the device, and among several processes shares its gradients."""
        if not self.opt['dist']:
            return super().model_to_device(net)
        return wrap_distributed(net.to(self.device), self.device, self.opt.get('find_unused_parameters', False))

    @master_only
    def print_network(self, net: nn.Module) -> None:
        """One line for each network; BasicSR prints every layer."""
        bare = self.get_bare_model(net)
        get_root_logger().info(
            f'Network: {type(bare).__name__}, {sum(p.numel() for p in bare.parameters()):,d} parameters'
        )

    # ---- a batch and its result ---------------------------------------------------------------------------------

    def feed_data(self, data: dict[str, Any]) -> None:
        """Takes a batch as validation does; with `test` and `get_current_visuals` BasicSR's way to use a model.

        Raises:
            DatasetError: for what is no batch (:func:`~facesr_ext.models.batch.images_given`).
        """
        data = images_given(data)
        sets = (self.opt.get('datasets') or {}).values()
        self.batch = self.prepare_validation(data, any(section.get('lq_enlarged') for section in sets))
        self.lq, self.gt = self.batch.lq, self.batch.gt

    def _prepare(self, data: dict[str, Any], generator: torch.Generator, enlarged: bool, train: bool = False) -> Batch:
        """A batch as the network takes it.

        Args:
            data (dict): What the dataset gave, collated.
            generator (Generator): What the degradation draws from.
            enlarged (bool): Whether a stored LQ is at HR size.
            train (bool): The GT is what the degradation has the network trained towards. Default: False.

        Raises:
            OptionError: if LQ, degradation and network do not fit each other.
        """
        gt = on_device(data['gt'], self.device) if 'gt' in data else None
        if train and gt is None:
            message = 'gives no GT to train towards; take FaceDataset or PairedFaceDataset'
            raise OptionError(message, ('datasets', 'train', 'type'))
        if 'lq' in data:
            lq = on_device(data['lq'], self.device)
        elif self.degradation is None or gt is None:
            raise OptionError(
                'the data set gives no LQ: add a degradation section (such as preset: fsrnet_x8), or use a '
                'paired data set (PairedFaceDataset with dataroot_lq)'
            )
        else:
            (lq, target), enlarged = self.degradation.pair(gt, generator), self.degradation.enlarged
            gt = target if train else gt
        if enlarged and self.info.input == 'small':
            raise OptionError(
                f'{type(self.get_bare_model(self.net_g)).__name__} takes the small image, but the LQ is '
                'enlarged; unset lq_enlarged / enlarge, or set upscale_input: false',
                ('network_g',),
            )
        big = lq if enlarged else enlarge(lq, self.factor)
        given = big if self.info.input == 'enlarged' else lq
        if train:
            self._require_size(given)
        if self.info.coords:
            given = with_coordinates(given, data.get('position'))
        priors = self.targets.make(data, (big.shape[-2], big.shape[-1]), self.device)
        return Batch(lq=self.precision.lay_out(given), enlarged=big, gt=gt, **priors)

    def _require_size(self, lq: torch.Tensor) -> None:
        multiple = self.info.sizes.multiple_of
        if lq.shape[-2] % multiple or lq.shape[-1] % multiple:
            raise OptionError(
                f'its input is {lq.shape[-1]}x{lq.shape[-2]} px, but must be a multiple of {multiple}; change '
                'image_size / gt_size, or for FSRNet hg_depth',
                ('network_g',),
            )

    def _forward(self, net: nn.Module, batch: Batch) -> Output:
        """The network's result, with its intermediate ones where it has any."""
        if arch_info(self.get_bare_model(net)).priors is not None:
            return Output(*net(batch.lq, return_priors=True))
        return Output(net(batch.lq))

    @contextmanager
    def evaluating(self) -> Iterator[nn.Module]:
        """The network that is evaluated, and its layers in that state until the end.

        It is the bare one, since the first process validates alone and must not wait for the others. A validation is
        one block: to tell each layer takes as long as some images do, and what measures one image aside, in another
        thread, may ask the network, too.
        """
        net = getattr(self, 'net_g_ema', self.get_bare_model(self.net_g))
        training = net.training
        if training:
            net.eval()
        try:
            yield net
        finally:
            if training:
                net.train()

    @torch.no_grad()
    def infer(self, batch: Batch, tiling: Tiling | None = None, self_ensemble: bool = False) -> Output:
        """The result for a batch in fp32, by the averaged weights where there are any.

        Args:
            batch (Batch): What the network takes.
            tiling (Tiling | None): Cut images larger than a tile; their result has no intermediate ones, as those
                that are filled up to a size that the network takes.
            self_ensemble (bool): Take the mean with the mirrored image's result; intermediate ones are the image's
                own. Default: False.
        """
        with self.evaluating() as net:

            def forward(lq: torch.Tensor) -> torch.Tensor:
                return self._forward(net, replace(batch, lq=lq)).sr

            tiles = tiling is not None and tiling.needed(batch.lq)
            if tiles or any(self.info.sizes.padding(batch.lq.shape[-2:])):
                return Output(upscale(forward, batch.lq, self.info, self.factor, tiling, self_ensemble))
            out = self._forward(net, batch)
            return out._replace(sr=mirror_mean(out.sr, forward, batch.lq)) if self_ensemble else out

    def test(self) -> None:
        """The result for the batch that was fed, in ``output``, as BasicSR's models give it."""
        self.output = self.infer(self.batch).sr

    def get_current_visuals(self) -> OrderedDict[str, torch.Tensor]:
        """LQ, result and GT where there is one, (N, 3, H, W) each, RGB, on the CPU."""
        visuals = OrderedDict(lq=self.lq[:, :3].detach().cpu(), result=self.output.detach().cpu())
        if self.gt is not None:
            visuals['gt'] = self.gt.detach().cpu()
        return visuals

    # ---- validation and test ------------------------------------------------------------------------------------

    def validation(self, dataloader: Any, current_iter: int | str, tb_logger: Any, save_img: bool = False) -> None:
        """Metrics, losses, images, per-image CSV and contact sheet of one set, by the first process."""
        # In training the model's own count: the runner has counted on past the end when it validates last.
        iteration = self.current_iter if self.is_train else None
        name, now = dataloader.dataset.opt['name'], iteration if iteration is not None else current_iter
        if self.opt['rank'] != 0 or self.validated.get(name) == now:
            return
        self.validated[name] = now
        run = Validation(self, dataloader, self.val, self.folder, iteration, self.opt['name'])
        means = run.run(tb_logger, save_img)
        self.metric_results = {key: means[key] for key in self.metrics if key in means}
        if means:
            self.keep_best(name, means)

    def predict(self, data: dict[str, Any], lq_enlarged: bool) -> tuple[Batch, Output]:
        """One validation batch and its result."""
        batch = self.prepare_validation(data, lq_enlarged)
        return batch, self.infer(batch)

    @torch.no_grad()
    def prepare_validation(self, data: dict[str, Any], lq_enlarged: bool) -> Batch:
        """A validation batch, degraded by a seed from its first image's name; the CPU draws for every device.

        A GT that is no multiple of the scale is cut to one, which is told once.
        """
        paths = data.get('gt_path') or data.get('lq_path') or ('',)
        whole, data = data, cut_to_multiple(data, self.scale, lq_enlarged)
        self._tell_cut(whole, data, paths[0])
        name = osp.splitext(osp.basename(paths[0]))[0]
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        return self._prepare(data, generator, lq_enlarged)

    def _tell_cut(self, whole: Mapping[str, Any], cut: Mapping[str, Any], path: str) -> None:
        key = 'gt' if 'gt' in whole else 'lq'
        (height, width), (rows, columns) = (tuple(sample[key].shape[-2:]) for sample in (whole, cut))
        if not self.cut_told and (height, width) != (rows, columns):
            self.cut_told = True
            get_root_logger().warning(
                f'{path} is {width}x{height} px, no multiple of the scale {self.scale}: it is cut to {columns}x{rows} '
                'px, below and on the right; others will be, too, and are not named'
            )

    def judge(self, path: str, batch: Batch, out: Output, whole: bool) -> Judged:
        """What there is to say of one image of a validation.

        Args:
            path (str): The image.
            batch (Batch): It alone.
            out (Output): Its result.
            whole (bool): It was not cut into tiles, so that the losses can be told.
        """
        tensors = {'LQ': batch.small(self.factor), BASELINE: batch.enlarged, 'SR': out.sr, 'GT': batch.gt}
        images = {title: to_images(t)[0] for title, t in tensors.items() if t is not None}
        figures: dict[str, float] = {}
        if batch.gt is not None and len(self.metrics):
            own, baseline = self.metrics.measure(images['SR'], images['GT']), self._baseline(images)
            for key in own:
                figures |= {key: own[key], f'{key}_{BASELINE}': baseline[key]}
        features = {}
        for key in self.metrics.set_metrics if batch.gt is not None else ():
            features[key] = np.stack([self.metrics.features(key, images[title]) for title in ('SR', BASELINE, 'GT')])
        return Judged(images, images['SR'], figures, {}, features)

    def _baseline(self, images: Mapping[str, np.ndarray]) -> dict[str, float]:
        """The metrics of bicubic; in a training they are those of the last validation of the same images."""
        if not self.is_train:
            return self.metrics.measure(images[BASELINE], images['GT'])
        key = hash((images[BASELINE].tobytes(), images['GT'].tobytes()))
        if key not in self._baselines:
            self._baselines[key] = self.metrics.measure(images[BASELINE], images['GT'])
        return self._baselines[key]

    def whole_figures(self, features: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Metrics of a whole set and bicubic's beside them, of features (N, 3, D): result, bicubic and GT."""
        figures = {}
        for key, array in features.items():
            for column, title in enumerate((key, f'{key}_{BASELINE}')):
                figures[title] = self.metrics.set_value(key, array[:, column], array[:, 2])
        return figures

    def best_figures(self, set_name: str, means: Mapping[str, float]) -> Mapping[str, Mapping[str, Any]]:
        """The best of each figure so far, which a training keeps."""
        return {}

    def keep_best(self, set_name: str, means: Mapping[str, float]) -> None:
        """A training keeps the best network apart."""

    def stop_if_asked(self, next_iter: int | None = None) -> None:
        """A training saves and ends here, where a signal has asked for it; a test just ends by the signal."""


def _given(value: Any, key: str) -> Any:
    """What the options say.

    Raises:
        OptionError: if they do not, and no checkpoint has said it in their place.
    """
    if not value:
        message = (
            'is missing; write it, or for a test name a checkpoint of facesr_ext that says it: path:pretrain_network_g'
        )
        raise OptionError(message, (key,))
    return value
