"""What the option check says of bad files, its silence about good ones, and that nothing in a file is executed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import ArchInfo, Sizes
from facesr_ext.check.examine import check_file
from facesr_ext.check.report import registered
from facesr_ext.cli.run import run_pipeline
from facesr_ext.data.image_io import write_image, write_mask
from facesr_ext.errors import OptionError, key_text
from facesr_ext.host.source import OptionFile, override_value
from tests.support import OPTIONS, small_options, stock_copy, write_degradation_net, write_options

SAMPLE = Path(__file__).with_name('sample.yml')
RunPython = Callable[..., 'subprocess.CompletedProcess[str]']
TRAIN_SET = '    dataroot_gt: builtin  # drawn faces, with labels; or a folder\n'
VAL_SET = """    type: FaceDataset
    dataroot_gt: builtin
    image_size: 128
"""


RRDB = 'type: RRDBNet, num_in_ch: 3, num_out_ch: 3, num_feat: 8, num_block: 1'
SWIN = (
    'type: SwinIR, upscale: 4, embed_dim: 12, depths: [2], num_heads: [2], window_size: 7, img_size: 63, '
    'upsampler: pixelshuffle'
)


class Bad(NamedTuple):
    """An option file with one edit, and the only finding that it must lead to.

    Attributes:
        kind (str): Name of the kind of fault.
        old, new (str): The edit of the file's text, at its first place.
        key (str): The finding's key.
        says (str): A part of its message.
        at (str): Text of the line that is named; '' for the first line of ``new``.
        file (str): A shipped file; by default this test's own, which recipes may differ from.
    """

    kind: str
    old: str
    new: str
    key: str
    says: str
    at: str = ''
    file: str = ''


BAD = [
    # keys
    Bad('top key', 'manual_seed: 0', 'manual_sed: 0', 'manual_sed', 'did you mean manual_seed?'),
    Bad('section name', '\nnetwork_g:', '\nnetwrok_g:', 'netwrok_g', 'did you mean network_g?', at='netwrok_g:'),
    Bad('dataset key', 'use_hflip: true', 'use_hfilp: true', 'datasets:train:use_hfilp', 'did you mean use_hflip?'),
    Bad('network key', 'prior_fusion:', 'prior_fussion:', 'network_g:prior_fussion', 'did you mean prior_fusion?'),
    Bad('discriminator key', '  conditional:', '  conditonal:', 'network_d:conditonal', 'did you mean conditional?'),
    Bad('train key', 'ema_decay:', 'ema_dacay:', 'train:ema_dacay', 'did you mean ema_decay?'),
    Bad('loss key', '    criterion:', '    criterium:', 'train:parsing_opt:criterium', 'did you mean criterion?'),
    Bad('prior key', '    parsing: hel', '    parsng: hel', 'train:prior_targets:parsng', 'did you mean parsing?'),
    Bad('optimiser key', 'weight_decay:', 'weight_decy:', 'train:optim_g:weight_decy', 'did you mean weight_decay?'),
    Bad('scheduler key', 'eta_min:', 'eta_mim:', 'train:scheduler:eta_mim', 'did you mean eta_min?'),
    Bad('val key', '  val_freq:', '  val_frq:', 'val:val_frq', 'did you mean val_freq?'),
    Bad(
        'metric key', 'psnr_y, crop_border: 0}', 'psnr_y, crop_boarder: 0}', 'val:metrics:psnr_y:crop_boarder',
        'did you mean crop_border?', at='crop_boarder',
    ),
    Bad('logger key', 'print_freq:', 'print_frequ:', 'logger:print_frequ', 'did you mean print_freq?'),
    Bad('degradation key', '  preset: fsrnet_x8', '  preset: fsrnet_x8\n  enlrage: true', 'degradation:enlrage',
        'did you mean enlarge?', at='enlrage'),
    Bad('path key', 'pretrain_network_g: ~', 'pretrain_network_g: ~\n  vgg: weights/vgg.pth', 'path:vgg',
        'make a folder', at='vgg: weights'),
    Bad('path of no network', 'pretrain_network_g: ~', 'pretrain_network_g: ~\n  pretrain_network_x: a.pth',
        'path:pretrain_network_x', 'for a network_x', at='pretrain_network_x'),
    # class names
    Bad('model type', 'FaceGANModel', 'FaceGanModel', 'model_type', 'did you mean FaceGANModel?'),
    Bad('arch type', 'type: FSRNet', 'type: FSRNett', 'network_g:type', 'did you mean FSRNet?'),
    Bad('loss type', 'type: ParsingLoss', 'type: ParsinLoss', 'train:parsing_opt:type', 'did you mean ParsingLoss?'),
    Bad('dataset type', 'type: FaceDataset', 'type: FacesDataset', 'datasets:train:type', 'did you mean FaceDataset?'),
    Bad('metric type', '{type: ssim_y,', '{type: ssim_yy,', 'val:metrics:ssim_y:type', 'did you mean ssim_y?',
        at='ssim_yy'),
    Bad('optimiser type', 'type: Adam\n', 'type: Adamm\n', 'train:optim_g:type', 'did you mean Adam?'),
    Bad('scheduler type', 'CosineAnnealingRestartLR', 'CosineAnnealingLR', 'train:scheduler:type',
        'did you mean CosineAnnealingRestartLR?'),
    Bad('preset', 'preset: fsrnet_x8', 'preset: fsrnet_x9', 'degradation:preset', 'did you mean fsrnet_x8?'),
    Bad('type missing', '  type: FSRNet\n', '', 'network_g:type', 'is missing', at='network_g:'),
    Bad('type misspelled', '  type: FSRNet\n', '  typ: FSRNet\n', 'network_g:typ', 'did you mean type?'),
    # values
    Bad('text number', 'lr: !!float 2e-4', 'lr: 2e-4', 'train:optim_g:lr', 'is text to YAML, not a number'),
    Bad('text number in a list', 'betas: [0.9, 0.99]', 'betas: [9e-1, 0.99]', 'train:optim_g:betas:0',
        'is text to YAML'),
    Bad('None', 'dataroot_parsing: ~', 'dataroot_parsing: None', 'datasets:train:dataroot_parsing', 'write ~'),
    Bad('str for an int', 'num_parsing: 11', 'num_parsing: eleven', 'network_g:num_parsing', "not 'eleven'"),
    Bad('number for a switch', 'use_hflip: true', 'use_hflip: 1', 'datasets:train:use_hflip', 'must be true or false'),
    Bad('negative', 'batch_size_per_gpu: 14', 'batch_size_per_gpu: 0', 'datasets:train:batch_size_per_gpu',
        'must be at least 1'),
    Bad('value that is none of a few', 'norm: bn', 'norm: gn', 'network_g:norm', 'must be one of bn, none'),
    Bad('value refused by the class', 'hg_num: 2', 'hg_num: 0', 'network_g:type', 'at least 1', at='type: FSRNet'),
    Bad('precision', 'precision: fp32', 'precision: fp64', 'precision', 'must be one of auto, fp32, bf16, fp16'),
    Bad('value refused by the optimiser', 'betas: [0.9, 0.99]', 'betas: [0.9, 1.5]', 'train:optim_g', 'Invalid beta',
        at='  optim_g:'),
    Bad('value refused by the scheduler', 'periods: [100000]', 'periods: [100000]\n    restart_weights: 1',
        'train:scheduler:restart_weights', 'must be a list', at='restart_weights: 1'),
    Bad('value refused by the loss', 'gan_type: vanilla', 'gan_type: vanila', 'train:gan_opt', 'vanila',
        at='  gan_opt:'),
    Bad('decay of 1', 'ema_decay: 0.999', 'ema_decay: 1', 'train:ema_decay', 'must be below 1'),
    Bad('metric without options', 'psnr_y: {type: psnr_y, crop_border: 0}', 'psnr_y: ~', 'val:metrics:psnr_y',
        'must be a section', at='psnr_y: ~'),
    Bad('strict as text', 'pretrain_network_g: ~', 'pretrain_network_g: ~\n  strict_load_g: yess', 'path:strict_load_g',
        'must be true or false', at='strict_load_g'),
    Bad('share of the crop as text', 'crop_scale: [0.9, 1.0]', 'crop_scale: wide', 'datasets:train:crop_scale',
        'must be a number or [low, high]'),
    Bad('lr of no part', '{reconstruct: 0.1}', '{tail: 0.1}', 'train:optim_g:lr_scales:tail',
        "SRCNN has no part 'tail' to train; its parts are extract, map, reconstruct", file='srcnn.yml', at='tail'),
    Bad('lr factor', '{reconstruct: 0.1}', '{reconstruct: true}', 'train:optim_g:lr_scales:reconstruct',
        'must be a number', file='srcnn.yml', at='reconstruct: true'),
    Bad('scale that the network has not', '  scale: 4\n  num_in_ch', '  scale: 3\n  num_in_ch', 'network_g:scale',
        'must be one of 2, 4, 8, not 3', file='srresnet.yml', at='  scale: 3'),
    Bad('negative lr', 'lr: !!float 2e-4', 'lr: -0.1', 'train:optim_g:lr', 'above 0'),
    Bad('no images', '  save_img: false', '  save_img: false\n  max_images: 0', 'val:max_images', 'must be at least 1',
        at='max_images: 0'),
    Bad('batch as text', '  save_img: false', '  save_img: false\n  batch_size: all', 'val:batch_size',
        'must be a whole number', at='batch_size: all'),
    Bad('tile without overlap', '  save_img: false', '  save_img: false\n  tile: {size: 64}', 'val:tile:overlap',
        'is missing', at='tile: {size'),
    Bad('tile that overlaps itself', '  save_img: false', '  save_img: false\n  tile: {size: 64, overlap: 64}',
        'val:tile:overlap', 'must be below size 64', at='tile: {size'),
    Bad('tile and network', '  save_img: false', '  save_img: false\n  tile: {size: 60, overlap: 8}', 'val:tile:size',
        'must be a multiple of 32', at='tile: {size'),
    Bad('no checkpoint stays', '  print_freq: 100', '  print_freq: 100\n  keep_last: 0', 'logger:keep_last',
        'must be at least 1', at='keep_last: 0'),
    Bad('keep_every alone', '  print_freq: 100', '  print_freq: 100\n  keep_every: 5', 'logger:keep_every',
        'needs keep_last', at='keep_every: 5'),
    Bad('best by no metric', '  print_freq: 100', '  print_freq: 100\n  keep_best: psnr_z', 'logger:keep_best',
        'did you mean psnr_y?', at='keep_best: psnr_z'),
    Bad('negative timeout', 'use_hflip: true', 'use_hflip: true\n    timeout: -1', 'datasets:train:timeout',
        'must be at least 0', at='timeout: -1'),
    Bad('tf32 as a number', 'scale: 8', 'scale: 8\ntf32: 1', 'tf32', 'must be true or false', at='tf32: 1'),
    Bad('direction of a metric', '{type: psnr_y,', '{type: psnr_y, better: highest,', 'val:metrics:psnr_y:better',
        'psnr_y is better where it is higher', at='better: highest'),
    Bad('range with a text', '  preset: ai6126_2024', '  preset: ai6126_2024\n  noise_range: [1, a]',
        'degradation:noise_range:1', 'must be a number', at='noise_range: [1', file='challenge/entry_2024.yml'),
    Bad('range as a word', '  preset: ai6126_2024', '  preset: ai6126_2024\n  jpeg_range: low',
        'degradation:jpeg_range', 'must be a list', at='jpeg_range: low', file='challenge/entry_2024.yml'),
    # keys of other sections
    Bad('clipping at the top', 'scale: 8', 'scale: 8\ngrad_clip: 1.0', 'grad_clip', 'it belongs below train:',
        at='grad_clip'),
    Bad('micro_batch at the top', 'scale: 8', 'scale: 8\nmicro_batch: 2', 'micro_batch', 'nothing reads it',
        at='micro_batch: 2'),
    Bad('decay at the top', 'scale: 8', 'scale: 8\nema_decay: 0.99', 'ema_decay', 'it belongs below train:',
        at='ema_decay'),
    Bad('patience at the top', 'scale: 8', 'scale: 8\nnonfinite_patience: 3', 'nonfinite_patience', 'below train:',
        at='nonfinite_patience'),
    Bad('loss at the top', 'scale: 8', 'scale: 8\npixel_opt: {type: L1Loss}', 'pixel_opt', 'it belongs below train:',
        at='pixel_opt: {'),
    Bad('name that code uses', 'scale: 8', 'scale: 8\ngt: 5', 'gt', 'unknown key, nothing reads it', at='gt: 5'),
    Bad('clipping in val', '  save_img: false', '  save_img: false\n  grad_clip: 1.0', 'val:grad_clip',
        'it belongs below train:', at='grad_clip'),
    Bad('optimiser in val', '  save_img: false', '  save_img: false\n  optim_g: {type: Adam}', 'val:optim_g',
        'it belongs below train:', at='optim_g: {type: Adam}'),
    # what a network cannot serve
    Bad('coarse image of a network that has none', '  # losses\n', '  coarse_opt: {type: L1Loss}\n  # losses\n',
        'train:coarse_opt', 'gives no coarse image', at='coarse_opt', file='srresnet.yml'),
    Bad('parsing of a network without', '  # losses\n', '  parsing_opt: {type: ParsingLoss}\n  # losses\n',
        'train:parsing_opt', 'predicts no parsing maps', at='parsing_opt', file='srresnet.yml'),
    Bad('landmarks of a network without', '  # losses\n', '  landmark_opt: {type: LandmarkLoss}\n  # losses\n',
        'train:landmark_opt', 'predicts no landmarks', at='landmark_opt', file='srresnet.yml'),
    # sections
    Bad('section missing', '\nlogger:\n  print_freq: 100\n  save_checkpoint_freq: !!float 5e3\n  use_tb_logger: true\n',
        '\n', 'logger', 'is missing', at='# yaml-language-server'),
    Bad('section is no mapping', '\npath:\n  pretrain_network_g: ~\n',
        '\npath: here\n', 'path', 'must be a section', at='path: here'),
    Bad('key missing', '  use_tb_logger: true\n', '', 'logger:use_tb_logger', 'is missing', at='logger:'),
    Bad('network missing', 'network_d:\n  type: PatchDiscriminator\n  num_in_ch: 3\n  num_feat: 64\n'
        '  conditional: true  # it sees the enlarged LQ beside the face\n', '', 'network_d', 'FaceGANModel needs it',
        at='# yaml-language-server'),
    Bad('optimiser missing', '  optim_d:\n    type: Adam\n    lr: !!float 1e-4\n    weight_decay: 0\n'
        '    betas: [0.9, 0.99]\n', '', 'train:optim_d', 'is missing', at='train:\n  ema'),
    Bad('phase', '\n  val:\n', '\n  valid:\n', 'datasets:valid', 'is no set of this run', at='  valid:'),
    # YAML
    Bad('duplicate key', '  net_d_iters: 1', '  net_d_iters: 1\n  net_d_iters: 2', 'train:net_d_iters',
        'stands in line', at='  net_d_iters: 2'),
    Bad('python tag', 'scale: 8', 'scale: !!python/object/apply:os.getpid []', 'scale', 'could run code'),
    Bad('unknown tag', 'scale: 8', 'scale: !int 8', 'scale', 'the tag !int is unknown'),
    Bad('number as key', '  net_d_iters: 1', '  7: 1', 'train:7', 'is no text to YAML'),
    Bad('indentation', '  prior_fusion: maps', '   prior_fusion: maps', '', 'this is no YAML'),
    # files
    Bad('folder missing', TRAIN_SET, TRAIN_SET.replace('builtin', 'nowhere'), 'datasets:train:dataroot_gt',
        'there is no folder nowhere', at='nowhere'),
    Bad('folder empty', TRAIN_SET, TRAIN_SET.replace('builtin', 'empty'), 'datasets:train:dataroot_gt', 'is empty',
        at='empty'),
    Bad('folder without pictures', TRAIN_SET, TRAIN_SET.replace('builtin', 'texts'), 'datasets:train:dataroot_gt',
        'no picture', at='texts'),
    Bad('list missing', VAL_SET, VAL_SET.replace('builtin', 'photos\n    meta_info_file: list.txt'),
        'datasets:val:meta_info_file', 'there is no file list.txt', at='list.txt'),
    Bad('masks of other pictures', VAL_SET, VAL_SET.replace('builtin', 'photos\n    dataroot_parsing: masks'),
        'datasets:val:dataroot_parsing', 'has a mask', at='parsing: masks'),
    Bad('landmark file missing', VAL_SET, VAL_SET.replace('builtin', 'photos\n    landmark_file: l.json'),
        'datasets:val:landmark_file', 'there is no file l.json', at='l.json'),
    Bad('weights missing', 'pretrain_network_g: ~', 'pretrain_network_g: no.pth', 'path:pretrain_network_g',
        'there is no file no.pth'),
    Bad("another recipe's weights missing", 'pretrain_network_g: ~',
        'pretrain_network_g: experiments/fsrnet_x8/models/net_g_latest.pth', 'path:pretrain_network_g', 'fsrnet.yml'),
    Bad('state missing', 'pretrain_network_g: ~', 'pretrain_network_g: ~\n  resume_state: 5.state', 'path:resume_state',
        'there is no file 5.state', at='resume_state'),
    # what does not suit each other
    Bad('no LQ', '\ndegradation:\n  preset: fsrnet_x8\n', '\n', 'datasets:train:type', 'gives no LQ', at='  type: Fa'),
    Bad('pairs missing', VAL_SET, '    type: PairedFaceDataset\n    dataroot_gt: photos\n    dataroot_lq: other\n',
        'datasets:val:dataroot_lq', 'have no LQ', at='other'),
    Bad('pair of wrong sizes', VAL_SET,
        '    type: PairedFaceDataset\n    dataroot_gt: photos\n    dataroot_lq: photos\n', 'datasets:val',
        'expected 16x16 px', at='  val:'),
    Bad('scale of the degradation', 'preset: fsrnet_x8', 'preset: bicubic_x4', 'degradation', 'reduces by 4',
        at='\ndegradation:'),
    Bad('scale of the network', 'type: FSRNet\n  scale: 8', 'type: FSRNet\n  scale: 4', 'network_g:scale',
        'built for 4x', at='  scale: 4'),
    Bad('size and network', 'image_size: 128', 'image_size: 136', 'datasets:train:image_size', 'multiple of 32'),
    Bad('size and scale', 'image_size: 128', 'image_size: 130', 'datasets:train:image_size', 'reduced by the scale 8'),
    Bad('enlarged LQ', 'norm: bn', 'upscale_input: true', 'degradation', 'write preset: bicubic_x8',
        at='\ndegradation:'),
    Bad('crop larger than face', 'image_size: 128', 'image_size: 128\n    gt_size: 256', 'datasets:train:gt_size',
        'is larger than a picture', at='gt_size: 256'),
    Bad('prior without loss', '  parsing_opt:\n    type: ParsingLoss\n    loss_weight: 1.0\n    criterion: mse\n', '',
        'network_g:num_parsing', 'parsing_opt is missing', at='num_parsing: 11'),
    Bad('prior without labels', TRAIN_SET, TRAIN_SET.replace('builtin', 'photos'), 'network_g:num_parsing',
        'no dataroot_parsing', at='num_parsing: 11'),
    Bad('number of landmarks', 'num_landmark: 68', 'num_landmark: 98', 'datasets:train:dataroot_gt',
        'gives 68 landmarks', at='dataroot_gt: builtin', file='fsrnet_paper.yml'),
    Bad('budget', 'scale: 8', 'scale: 8\nchallenge: {max_params: 1000}', 'challenge:max_params', 'too many',
        at='challenge'),
    Bad('penalty over BatchNorm', '  net_d_iters: 1', '  gradient_penalty_opt: {type: GradientPenaltyLoss}\n'
        '  net_d_iters: 1', 'network_d:type', 'has BatchNorm', at='type: PatchDiscriminator'),
    Bad('size and discriminator', 'input_size: 128', 'input_size: 256', 'network_d:type', 'it takes 256x256',
        at='type: VGGStyle', file='esrgan.yml'),
    Bad('size that a discriminator has not', 'input_size: 128', 'input_size: 192', 'network_d:type',
        'must be 128 or 256', at='type: VGGStyle', file='esrgan.yml'),
    Bad('relative Wasserstein', 'gan_type: vanilla', 'gan_type: wgan', 'train:gan_opt:gan_type',
        'must be one of vanilla, lsgan, hinge', at='gan_type: wgan', file='esrgan.yml'),
    Bad('published weights missing', 'save_img: true', 'save_img: true', 'path:pretrain_network_g',
        'get it from https://github.com/xinntao/Real-ESRGAN/releases', at='pretrain_network_g',
        file='test/esrgan_pretrained.yml'),
    Bad('short periods', 'periods: [100000]', 'periods: [5000]', 'train:scheduler:periods', 'would crash'),
    Bad('restart weights', 'periods: [100000]', 'periods: [100000]\n    restart_weights: [1, 1]',
        'train:scheduler:restart_weights', '2 value(s) for 1 period(s)', at='restart_weights'),
    # stages
    Bad('stage key', 'iters: 60000', 'itres: 60000', 'train:stages:1:itres', 'did you mean iters?',
        file='srpggan_x4.yml'),
    Bad('stage without end', 'iters: 40000', 'iters: ~', 'train:stages:0:iters', 'is missing',
        file='srpggan_x4.yml'),
    Bad('fade of the first stage', 'iters: 40000', 'iters: 40000, fade: 0.5', 'train:stages:0:fade',
        'has none before it', file='srpggan_x4.yml'),
    Bad('size of a stage', '{size: 128', '{size: 96', 'train:stages', 'grow through 64, 128', at='  stages:',
        file='srpggan_x4.yml'),
    Bad('stages shorter than the training', 'total_iter: 100000', 'total_iter: 120000', 'train:total_iter',
        'write total_iter: 100000', file='srpggan_x4.yml'),
    Bad('critic of fewer stages', '  input_size: 128\n  scale: 4\n', '  input_size: 128\n  scale: 8\n', 'network_d',
        'make scale and lr_stage agree', at='network_d:', file='srpggan_x4.yml'),
    Bad('pictures and critic', '    image_size: 128', '    image_size: 64', 'network_d:type', 'it takes 128x128',
        at='type: SRPGGANCritic', file='srpggan_x4.yml'),
    # devices and loaders
    Bad('GPUs that are not there', 'num_gpu: auto', 'num_gpu: 64', 'num_gpu', 'there are'),
    Bad('no workers to persist', 'num_worker_per_gpu: 2', 'num_worker_per_gpu: 0',
        'datasets:train:persistent_workers', 'needs num_worker_per_gpu above 0', at='persistent_workers'),
    Bad('prefetch that hangs', 'persistent_workers: true', 'persistent_workers: true\n    prefetch_mode: cpu',
        'datasets:train:prefetch_mode', 'hang BasicSR', at='prefetch_mode'),
    Bad('workers in validation', VAL_SET, VAL_SET + '    persistent_workers: true  # in val\n',
        'datasets:val:persistent_workers', 'only the training set', at='persistent_workers: true  # in val'),
    Bad('prefetch mode', 'persistent_workers: true', 'prefetch_mode: gpu', 'datasets:train:prefetch_mode',
        "not 'gpu'"),
    Bad('Weights & Biases alone', 'use_tb_logger: true',
        'use_tb_logger: false\n  wandb:\n    project: faces', 'logger:wandb:project', 'needs use_tb_logger',
        at='project: faces'),
    # testing
    Bad('no weights', 'save_img: true', 'save_img: true', 'path:pretrain_network_g', 'name the run or the checkpoint',
        at='pretrain_network_g: ~', file='test.yml'),
    Bad('weights of a run that is still to be', 'pretrain_network_g: ~', 'pretrain_network_g: experiments/fsrgan_x8',
        'path:pretrain_network_g', 'train it first', file='test.yml'),
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with four 128-px photographs, LQ and masks of other names, and folders of no use."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    for i in range(4):
        write_image(tmp_path / 'photos' / f'{i}.png', pixels)
        write_image(tmp_path / 'other' / f'x{i}.png', pixels[:16, :16])
    write_mask(tmp_path / 'masks' / 'x.png', pixels[..., 0] % 19)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'texts').mkdir()
    (tmp_path / 'texts' / 'readme.txt').write_text('no picture')
    return tmp_path


def edited(place: Path, file: str, *edits: tuple[str, str]) -> Path:
    text = (OPTIONS / file if file else SAMPLE).read_text(encoding='utf-8')
    for old, new in edits:
        assert old in text, f'{file} has no {old!r}'
        text = text.replace(old, new, 1)
    path = place / 'bad.yml'
    path.write_text(text, encoding='utf-8')
    return path


@pytest.mark.parametrize('bad', BAD, ids=lambda bad: bad.kind)
def test_bad_file(bad: Bad, place: Path) -> None:
    """One finding, with key, line and remedy; nothing that only follows from it."""
    path = edited(place, bad.file, (bad.old, bad.new))
    found = check_file(str(path), 'test' if bad.file.startswith('test') else 'train')
    assert len(found) == 1, '\n'.join(map(str, found))
    text, mark = path.read_text(encoding='utf-8'), bad.at or bad.new.strip().splitlines()[0]
    line = (text[: text.index(mark)] + mark[: len(mark) - len(mark.lstrip())]).count('\n') + 1
    assert found[0].where == f'{path}:{line}' or bad.kind == 'indentation'
    assert key_text(found[0].key) == bad.key and bad.says in found[0].message
    assert found[0].level == ('warning' if bad.kind == 'path of no network' else 'error')


@pytest.fixture
def weightless() -> Iterator[None]:
    """A network without weights, for one input size."""

    class Weightless(nn.Module):
        info = ArchInfo(scale=8, input='enlarged', sizes=Sizes(fixed=64))

        def forward(self, lq: torch.Tensor) -> torch.Tensor:
            return lq

    ARCH_REGISTRY.register(Weightless)
    yield
    del ARCH_REGISTRY._obj_map['Weightless']


def test_networks_without_weights_and_of_one_size(weightless: None, place: Path) -> None:
    network = 'network_g={type: Weightless}'
    forced = [network, 'train:coarse_opt=~']
    found = {key_text(f.key): f.message for f in check_file(str(OPTIONS / 'fsrnet_noprior.yml'), 'train', forced)}
    assert set(found) == {'network_g:type', 'datasets:train:image_size', 'datasets:val:image_size'}
    assert 'nothing to train' in found['network_g:type'] and 'takes 64 px alone' in found['datasets:val:image_size']
    forced = [network, 'scale=8', 'degradation:preset=bicubic_x8']
    tested = check_file(str(OPTIONS / 'test' / 'bicubic.yml'), 'test', forced)
    assert [key_text(f.key) for f in tested] == ['datasets:test_1:image_size']  # what has no weights needs none


@pytest.mark.parametrize(
    'network',
    [
        'type: MSRResNet',
        'type: RRDBNet, num_in_ch: 3, num_out_ch: 3, num_feat: 8, num_block: 1',
        'type: SwinIR, upscale: 4, embed_dim: 12, depths: [2], num_heads: [2], window_size: 4, upsampler: pixelshuffle',
    ],
    ids=lambda text: text.split(',')[0],
)
def test_basicsrs_networks_under_our_model(network: str, place: Path) -> None:
    """They take the small image; some compute while they are built, which only a real device bears."""
    forced = [f'network_g={{{network}}}', 'scale=4', 'degradation:preset=bicubic_x4', 'train:coarse_opt=~']
    assert check_file(str(OPTIONS / 'fsrnet_noprior.yml'), 'train', forced) == []


def test_kinds_have_names_of_their_own() -> None:
    assert len({bad.kind for bad in BAD}) == len(BAD)


@pytest.mark.parametrize(
    ('forced', 'key'),
    [('compile=yes please', 'compile'), ('network_g:fold=3', 'network_g:fold'), ('network_g:skip=x', 'network_g:skip')],
)
def test_findings_are_at_the_key_that_they_are_about(forced: str, key: str, place: Path) -> None:
    (found,) = check_file(str(OPTIONS / 'quickstart.yml'), 'train', [forced])
    assert key_text(found.key) == key and found.where == '--force_yml'


@pytest.mark.parametrize('folder', ['name', 'num_faces', 'scale'])
def test_words_of_a_message_are_no_keys(folder: str, place: Path) -> None:
    """A broken image in a folder that is called as an option."""
    (place / folder).mkdir()
    (place / folder / 'x.png').write_bytes(b'no image')
    forced = [f'datasets:train:dataroot_gt={folder}', 'network_g:prior=false', 'train:parsing_opt=~']
    found = check_file(str(OPTIONS / 'quickstart.yml'), 'train', forced)
    assert [key_text(f.key) for f in found] == ['datasets:train']


def test_all_faults_at_once_with_status_2_and_no_traceback(run_python: RunPython, place: Path) -> None:
    edits = (('ema_decay:', 'ema_dacay:'), ('lr: !!float 2e-4', 'lr: 2e-4'), ('type: FSRNet', 'type: FSRNett'))
    edited(place, 'fsrgan.yml', *edits)
    done = run_python(['-m', 'basicsr.train', '-opt', 'bad.yml'], cwd=place, check=False)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    assert '3 error(s)' in done.stderr
    lines = [line.split(': ')[:2] for line in done.stderr.splitlines() if line.startswith('  bad.yml:')]
    assert [key for _, key in lines] == ['network_g:type', 'train:ema_dacay', 'train:optim_g:lr']  # as in the file
    assert not (place / 'experiments').exists()


EVERY_FILE = sorted(path for path in OPTIONS.rglob('*.yml') if path.parent.name != 'compare')


@pytest.mark.parametrize('path', EVERY_FILE, ids=lambda p: f'{p.parent.name}-{p.stem}')
def test_shipped_files_have_no_findings(path: Path, place: Path) -> None:
    opt = yaml.safe_load(path.read_text(encoding='utf-8'))
    weights = opt['path'].get('pretrain_network_g')
    if weights:
        Path(weights).parent.mkdir(parents=True)
        torch.save({}, weights)
    checkpoint = (opt.get('degradation') or {}).get('checkpoint')
    if checkpoint:  # made by another recipe
        write_degradation_net(Path(checkpoint), opt['scale'])
    found = check_file(str(path), 'train' if 'train' in opt else 'test')
    names_a_run = 'train' in opt or 'network_g' in opt  # else it is for the user to name
    assert [key_text(f.key) for f in found] == ([] if names_a_run else ['path:pretrain_network_g'])


# ---- other people's files -----------------------------------------------------------------------------------------

DISK = 'io_backend: {type: disk}'
LOADER = 'num_worker_per_gpu: 0, batch_size_per_gpu: 2, dataset_enlarge_ratio: 1, prefetch_mode: ~'
PAIRED = f'name: p, type: PairedImageDataset, dataroot_gt: photos, dataroot_lq: other, {DISK}'
NET = 'num_in_ch: 3, num_out_ch: 3, num_feat: 8, num_block: 1'
ADAM = 'type: Adam, lr: !!float 2e-4, weight_decay: 0, betas: [0.9, 0.99]'
KERNELS = ', '.join(
    f'blur_kernel_size{i}: 21, kernel_list{i}: [iso, aniso], kernel_prob{i}: [0.5, 0.5], sinc_prob{i}: 0.1, '
    f'blur_sigma{i}: [0.2, 3], betag_range{i}: [0.5, 4], betap_range{i}: [1, 2]'
    for i in ('', 2)
)
NOISE = '\n'.join(
    f"""resize_prob{i}: [0.2, 0.7, 0.1]
resize_range{i}: [0.15, 1.5]
gaussian_noise_prob{i}: 0.5
noise_range{i}: [1, 30]
poisson_scale_range{i}: [0.05, 3]
gray_noise_prob{i}: 0.4
jpeg_range{i}: [30, 95]"""
    for i in ('', 2)
)
REAL = (
    f'name: r, type: RealESRGANDataset, dataroot_gt: photos, meta_info: meta.txt, {DISK}, {KERNELS}, '
    'final_sinc_prob: 0.8, gt_size: 128, use_hflip: true, use_rot: false'
)
GAN = """
  optim_d: {ADAM}
  gan_opt: {type: GANLoss, gan_type: vanilla, real_label_val: 1.0, fake_label_val: 0.0, loss_weight: !!float 5e-3}
  net_d_iters: 1
  net_d_init_iters: 0
""".replace('{ADAM}', f'{{{ADAM}}}')
VGG_D = 'network_d: {type: VGGStyleDiscriminator, num_in_ch: 3, num_feat: 8}'
UNET_D = 'network_d: {type: UNetDiscriminatorSN, num_in_ch: 3, num_feat: 8, skip_connection: True}'
PSNR_SET, GAN_SET = (f'{PAIRED}, gt_size: {size}, use_hflip: true, use_rot: true' for size in (32, 128))
RESNET, RRDB = f'type: MSRResNet, {NET}, upscale: 8', f'type: RRDBNet, {NET}'
FOREIGN = {
    'SRModel': ('', PSNR_SET, RESNET, ''),
    'SRGANModel': (VGG_D, GAN_SET, RESNET, GAN),
    'ESRGANModel': (VGG_D, GAN_SET, RRDB, GAN),
    'RealESRNetModel': (
        f'gt_usm: True\nhigh_order_degradation: True\ngt_size: 64\nqueue_size: 4\nsecond_blur_prob: 0.8\n{NOISE}',
        REAL, RRDB, '',
    ),
    'RealESRGANModel': (
        f'l1_gt_usm: True\npercep_gt_usm: True\ngan_gt_usm: False\ngt_size: 64\nqueue_size: 4\nsecond_blur_prob: 0.8\n'
        f'{NOISE}\n{UNET_D}', REAL, RRDB, GAN,
    ),
}  # fmt: skip


def foreign(model: str, place: Path) -> Path:
    """An option file as BasicSR and Real-ESRGAN ship them."""
    top, train_set, network, train = FOREIGN[model]
    (place / 'meta.txt').write_text('0.png (128,128,3)\n1.png (128,128,3)\n')
    text = f"""
name: {model}
model_type: {model}
scale: 8
num_gpu: auto
manual_seed: 0
{top}
datasets:
  train: {{{train_set}, use_shuffle: true, {LOADER}}}
  val: {{{PAIRED}}}
network_g: {{{network}}}
path: {{pretrain_network_g: ~, param_key_g: params_ema, strict_load_g: true, resume_state: ~}}
train:
  ema_decay: 0.999
  optim_g: {{{ADAM}}}
  scheduler: {{type: MultiStepLR, milestones: [400000], gamma: 0.5}}
  total_iter: 10
  warmup_iter: -1
  pixel_opt: {{type: L1Loss, loss_weight: 1.0, reduction: mean}}
{train}
val:
  val_freq: !!float 5e3
  save_img: False
  metrics: {{psnr: {{type: calculate_psnr, crop_border: 4, test_y_channel: false}}}}
logger: {{print_freq: 1, save_checkpoint_freq: !!float 5e3, use_tb_logger: false, wandb: {{project: ~, resume_id: ~}}}}
dist_params: {{backend: nccl, port: 29500}}
"""
    path = place / f'{model}.yml'
    path.write_text(text)
    return path


@pytest.mark.parametrize('model', FOREIGN)
def test_basicsrs_own_files_are_fine(model: str, place: Path) -> None:
    assert check_file(str(foreign(model, place)), 'train') == []


def test_others_files_get_warnings_at_most(place: Path) -> None:
    """What is not ours to judge is told, and runs as its owner wishes."""
    path = foreign('SRModel', place)
    edits = ('ema_decay', 'ema_dacay'), ('photos', 'nowhere'), ('L1Loss', 'MyLoss'), ('name: SR', 'x: 1\nname: SR')
    text = path.read_text()
    for old, new in edits:
        text = text.replace(old, new)
    path.write_text(text)
    found = check_file(str(path), 'train')
    assert {f.level for f in found} == {'warning'}
    keys = ['datasets:train:dataroot_gt', 'datasets:val:dataroot_gt', 'train:ema_dacay', 'train:pixel_opt:type']
    assert [key_text(f.key) for f in found] == keys


def test_a_fault_of_the_check_does_not_stop_a_run(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    def look(check: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr('facesr_ext.check.data.CHECKS', (look,))
    (found,) = check_file(str(OPTIONS / 'fsrnet_noprior.yml'), 'train')
    assert found.level == 'warning' and 'ZeroDivisionError' in found.message


# ---- the command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('entry', 'key', 'says'),
    [
        ('train:optim:lr=1', 'train:optim:lr', 'no section train:optim'),
        ('train', '', 'is no override'),
        ('train:total_itr=5', 'train:total_itr', 'did you mean total_iter?'),
        ('train:scheduler:periods=[1, ', 'train:scheduler:periods', 'is no value'),
        ('datasets:train:dataroot_gt=nowhere', 'datasets:train:dataroot_gt', 'there is no folder nowhere'),
        ('train:optim_g:lr=fast', 'train:optim_g:lr', 'must be'),
    ],
)
def test_overrides_are_checked(entry: str, key: str, says: str, place: Path) -> None:
    found = [f for f in check_file(str(OPTIONS / 'fsrnet_noprior.yml'), 'train', [entry]) if f.where == '--force_yml']
    assert [(key_text(f.key), says in f.message) for f in found] == [(key, True)], found


def test_good_overrides_have_no_findings(place: Path) -> None:
    entries = ['train:optim_g:lr=1e-4', 'train:micro_batch=2', 'datasets:train:dataroot_gt=photos']
    assert check_file(str(OPTIONS / 'fsrnet_noprior.yml'), 'train', entries) == []


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('1e-4', 1e-4), ('!!float 1e-4', 1e-4), ('!!float1e-4', 1e-4), ('-1', -1), ('010', 10), ('1.5', 1.5),
        ('~', None), ('None', None), ('true', True), ('False', False), ('no', False),
        ('[1, 2e-3, None]', [1, 2e-3, None]), ('{a: 1}', {'a': 1}),
        ('2020-01-01', '2020-01-01'), ('12:30', '12:30'), ('"5"', '5'), ('a b', 'a b'),
        ('*.png', '*.png'), ('a: b', 'a: b'), ('C:\\x', 'C:\\x'), ('nan', 'nan'), ('1_0', '1_0'),
        ('text{a: b, c}', 'text{a: b, c}'), ('img_{name}[0].png', 'img_{name}[0].png'),
        ('key=text{a=b}', 'key=text{a=b}'), ('text: {', 'text: {'), ('a # b', 'a # b'), ('#fff', '#fff'),
        ('&a', '&a'), ('', None), ('null', None),
    ],
)  # fmt: skip
def test_override_values(text: str, value: Any) -> None:
    assert override_value(text) == value and isinstance(override_value(text), type(value))


@pytest.mark.parametrize(
    ('entries', 'path', 'value'),
    [
        (['network_g:norm=none'], ('network_g', 'norm'), 'none'),
        (['network_g:norm=None'], ('network_g', 'norm'), None),
        (['network_g:norm=~'], ('network_g', 'norm'), None),
        (['network_g:norm=none', 'network_g:norm=bn'], ('network_g', 'norm'), 'bn'),
        (['network_g={type: NAFSR, scale: 4, skip: none}'], ('network_g', 'skip'), 'none'),
        (['network_g:skip=none', 'network_g:type=NAFSR'], ('network_g', 'skip'), 'none'),
        (['train:pixel_opt={type: L1Loss, reduction: none}'], ('train', 'pixel_opt', 'reduction'), 'none'),
        (['train:pixel_opt:reduction=none'], ('train', 'pixel_opt', 'reduction'), 'none'),
        (['network_g:hg_depth=none'], ('network_g', 'hg_depth'), None),
        (['train:parsing_opt=none'], ('train', 'parsing_opt'), None),
        (['datasets:train:dataroot_parsing=none'], ('datasets', 'train', 'dataroot_parsing'), None),
    ],
)
def test_none_stays_text_where_an_option_takes_it(entries: list[str], path: tuple[str, ...], value: Any) -> None:
    assert OptionFile.read(str(OPTIONS / 'fsrnet_fast.yml'), entries).get(path) == value


def test_several_gpus_get_the_torchrun_line(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    path = str(edited(place, 'fsrnet_noprior.yml', ('num_gpu: auto', 'num_gpu: 2')))
    (found,) = check_file(path, 'train')
    assert (
        key_text(found.key) == 'num_gpu'
        and f'torchrun --nproc_per_node=2 -m basicsr.train -opt {path}' in found.message
    )
    assert check_file(path, 'train', launcher='pytorch') == []


def test_missing_file_and_wrong_command(place: Path) -> None:
    (found,) = check_file('no.yml', 'train')
    assert (found.level, found.where) == ('error', 'no.yml') and 'no such file' in found.message
    found_too = check_file(str(OPTIONS / 'fsrgan.yml'), 'test')
    assert any('use facesr train' in f.message for f in found_too)


def test_tensorboard_that_is_not_there(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    (found,) = check_file(str(OPTIONS / 'fsrgan.yml'), 'train')
    assert key_text(found.key) == 'logger:use_tb_logger' and 'pip install tensorboard' in found.message


def test_in_process_runs_are_checked(place: Path) -> None:
    path = edited(place, 'quickstart.yml', ('total_iter', 'total_itr'))
    with pytest.raises(OptionError, match=r'bad\.yml:\d+: train:total_itr: .*did you mean total_iter'):
        run_pipeline('train', ['-opt', str(path)])
    assert not (place / 'experiments').exists()


def test_warnings_are_in_the_log_file(run_python: RunPython, place: Path) -> None:
    path = foreign('SRModel', place)
    path.write_text(path.read_text().replace('ema_decay', 'ema_dacay'))
    # Four LQ of other names: BasicSR's own data set stops, after its log has been opened.
    done = run_python(['-m', 'basicsr.train', '-opt', path.name], cwd=place, check=False)
    (log,) = (place / 'experiments' / 'SRModel').glob('train_*.log')
    assert 'train:ema_dacay: unknown key' in log.read_text() and 'did you mean ema_decay' in done.stderr


# ---- nothing is executed ------------------------------------------------------------------------------------------


MARK = '__import__("os").mkdir("marker")'
CODE = {
    'tag': ("!!python/object/apply:os.mkdir ['marker']", []),
    'value': ('SRModel', ['--force_yml', f'name=[{MARK}]']),
    'key': ('SRModel', ['--force_yml', f'name"]+{MARK}#=1']),
    'tagged value': ('SRModel', ['--force_yml', 'name=!!python/object/apply:os.mkdir ["marker"]']),
}


@pytest.mark.parametrize('kind', CODE)
def test_code_does_not_run(kind: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither through our runner nor where others (Real-ESRGAN) call BasicSR's parser by themselves."""
    name, arguments = CODE[kind]
    path = foreign('SRModel', place)
    path.write_text(path.read_text().replace('name: SRModel', f'name: {name}'))
    argv = ['-opt', path.name, *arguments]
    monkeypatch.setattr(sys, 'argv', ['train.py', *argv])
    with contextlib.suppress(OptionError, TypeError):  # TypeError: a list is no name
        sys.modules['basicsr.utils.options'].parse_options('.')
    if kind in ('tag', 'tagged value'):  # the others are data, of no use
        with pytest.raises(OptionError, match='code|executed'):
            run_pipeline('train', argv)
    assert not (place / 'marker').exists()
    if kind != 'tagged value':  # stock BasicSR takes that one for text
        with contextlib.suppress(Exception):
            stock_copy('utils.options').parse_options('.')
        assert (place / 'marker').exists(), 'stock BasicSR has been mended: the repair is of no use any more'


def test_runner_refuses_code_with_status_2(run_python: RunPython, place: Path) -> None:
    path = foreign('SRModel', place)
    path.write_text(path.read_text().replace('name: SRModel', f'name: {CODE["tag"][0]}'))
    done = run_python(['-m', 'facesr_ext', 'train', '-opt', path.name], cwd=place, check=False)
    assert done.returncode == 2 and 'could run code' in done.stderr and 'Traceback' not in done.stderr


def test_overrides_reach_the_run_as_values(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced = ['train:optim_g:lr=1e-4', 'manual_seed=5', 'train:extra={a: [1, ~]}', 'name=a=b']
    argv = ['train.py', '-opt', str(foreign('SRModel', place)), '--force_yml', *forced]
    monkeypatch.setattr(sys, 'argv', argv)
    opt, args = sys.modules['basicsr.utils.options'].parse_options('.')
    assert (opt['train']['optim_g']['lr'], opt['name'], opt['train']['extra']) == (1e-4, 'a=b', {'a': [1, None]})
    drawn = torch.rand(())
    torch.manual_seed(5)
    assert drawn == torch.rand(()) and opt['manual_seed'] == 5
    assert args.force_yml == forced and sys.argv == argv  # what the copy of the file in the run is headed by
    assert isinstance(opt, OrderedDict) and isinstance(opt['train'], OrderedDict)


def test_registries_are_read_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    """Registry.get prints where it takes BasicSR's class for a plain name."""
    from basicsr.utils.registry import ARCH_REGISTRY, MODEL_REGISTRY

    assert registered(MODEL_REGISTRY, 'RealESRGANModel') is not None
    assert registered(ARCH_REGISTRY, 'Nothing') is None
    assert capsys.readouterr().out == ''


def test_every_option_of_keeping_validation_and_workers_is_known(tmp_path: Path) -> None:
    opt = small_options(OPTIONS / 'quickstart.yml')
    opt.update(compile=False, tf32=True, challenge={'max_params': 10**7})
    opt['logger'].update(keep_last=2, keep_best=True, keep_every=4)
    opt['val'].update(max_images=1, batch_size=2, tile={'size': 64, 'overlap': 16}, pbar=False)
    opt['datasets']['train'].update(degrade_in_workers=True, num_worker_per_gpu=1, timeout=60)
    assert check_file(str(write_options(opt, tmp_path / 'opt.yml')), 'train') == []


def test_a_validation_set_of_an_odd_size_is_told_and_a_training_set_is_refused(place: Path) -> None:
    odd = check_file(str(edited(place, '', (VAL_SET, VAL_SET.replace('image_size: 128', 'image_size: 130')))), 'train')
    assert [(f.level, key_text(f.key)) for f in odd] == [('warning', 'datasets:val:image_size')]
    assert '130x130 px is no multiple of the scale 8; it is measured on 128x128 px' in odd[0].message
    filled_up = VAL_SET.replace('image_size: 128', 'image_size: 136')  # FSRNet takes multiples of 32
    assert check_file(str(edited(place, '', (VAL_SET, filled_up))), 'train') == []


@pytest.mark.parametrize(
    ('network', 'forced', 'key', 'says'),
    [
        (RRDB, 'scale=8', 'network_g:scale', 'built for 4x, but scale is 8'),
        (SWIN, 'scale=8', 'network_g:upscale', 'built for 4x, but scale is 8'),
        ('type: HAT', 'scale=4', 'network_g:type', 'install https://github.com/XPixelGroup/HAT'),
        (SWIN, 'scale=4', 'datasets:train:image_size', 'take a multiple of 28'),
    ],
)
def test_scale_and_grid_of_basicsrs_networks(network: str, forced: str, key: str, says: str, place: Path) -> None:
    preset = f'degradation:preset=bicubic_x{forced[-1]}'
    found = check_file(
        str(OPTIONS / 'fsrnet_noprior.yml'), 'train', [f'network_g={{{network}}}', forced, preset, 'train:coarse_opt=~']
    )
    assert [(key_text(f.key), says in f.message) for f in found] == [(key, True)], found


@pytest.mark.parametrize(
    ('metric', 'key', 'message'),
    [
        (
            '{type: psnr_y, crop_border: 64}',
            'crop_border',
            'psnr_y needs 1 px a side, and an image has 128x128 px less',
        ),
        ('{type: ssim_y, crop_border: 60}', 'crop_border', 'ssim_y needs 11 px a side'),
        ('{type: calculate_ssim, crop_border: 60}', 'crop_border', 'calculate_ssim needs 11 px a side'),
        ('{type: ssim_y, crop_border: 58}', 'crop_border', ''),
    ],
)
def test_metrics_of_images_that_are_too_small_for_them(metric: str, key: str, message: str) -> None:
    found = check_file(str(OPTIONS / 'fsrnet_fast.yml'), 'train', [f'val:metrics={{m: {metric}}}'])
    told = [finding.message for finding in found if finding.key == ('val', 'metrics', 'm', key)]
    assert (message in told[0]) if message else not told


def test_a_network_that_makes_no_image_is_warned_of(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice(nn.Conv2d):
        """Gives two images where one is wanted."""

        def __init__(self, num_feat: int = 3) -> None:
            super().__init__(3, num_feat, 3, 1, 1)

        def forward(self, x: torch.Tensor) -> Any:
            return [super().forward(x)] * 2

    monkeypatch.setitem(ARCH_REGISTRY._obj_map, 'Twice', Twice)
    forced = ['network_g={type: Twice}', 'train:coarse_opt=~', 'degradation:preset=bicubic_x8']
    found = check_file(str(OPTIONS / 'fsrnet_noprior.yml'), 'train', forced)
    told = [finding for finding in found if finding.key == ('network_g', 'type')]
    assert [finding.level for finding in told] == ['warning'] and 'makes no RGB image of one' in told[0].message
