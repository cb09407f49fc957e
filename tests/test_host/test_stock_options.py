"""Option files in BasicSR's and Real-ESRGAN's own style, with none of our parts, run by BasicSR's command on a CPU."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support import write_vgg

RunPython = Callable[..., 'subprocess.CompletedProcess[str]']

HEAD = """
name: {model}
model_type: {model}
scale: 4
num_gpu: 0  # set num_gpu: 0 for cpu mode
manual_seed: 0
"""
PAIRED = """
# dataset and data loader settings
datasets:
  train:
    name: faces
    type: PairedImageDataset
    dataroot_gt: datasets/faces/gt
    dataroot_lq: datasets/faces/lq
    # (for lmdb)
    # dataroot_gt: datasets/faces/gt.lmdb
    filename_tmpl: '{}'
    io_backend:
      type: disk

    gt_size: 128
    use_hflip: true
    use_rot: true

    # data loader
    num_worker_per_gpu: 0
    batch_size_per_gpu: 2
    dataset_enlarge_ratio: 2
    prefetch_mode: ~
"""
# finetune_realesrgan_x4plus.yml and its like; the data set makes every image 400 px.
DEGRADED = """
# ----------------- options for synthesizing training data in RealESRGANModel ----------------- #
l1_gt_usm: True
percep_gt_usm: True
gan_gt_usm: False
gt_usm: True

# the first degradation process
resize_prob: [0.2, 0.7, 0.1]  # up, down, keep
resize_range: [0.15, 1.5]
gaussian_noise_prob: 0.5
noise_range: [1, 30]
poisson_scale_range: [0.05, 3]
gray_noise_prob: 0.4
jpeg_range: [30, 95]

# the second degradation process
second_blur_prob: 0.8
resize_prob2: [0.3, 0.4, 0.3]  # up, down, keep
resize_range2: [0.3, 1.2]
gaussian_noise_prob2: 0.5
noise_range2: [1, 25]
poisson_scale_range2: [0.05, 2.5]
gray_noise_prob2: 0.4
jpeg_range2: [30, 95]

gt_size: 64
queue_size: 4

datasets:
  train:
    name: faces
    type: RealESRGANDataset
    dataroot_gt: datasets/faces/gt
    meta_info: datasets/faces/meta_info.txt
    io_backend:
      type: disk

    blur_kernel_size: 21
    kernel_list: ['iso', 'aniso', 'generalized_iso', 'generalized_aniso', 'plateau_iso', 'plateau_aniso']
    kernel_prob: [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    sinc_prob: 0.1
    blur_sigma: [0.2, 3]
    betag_range: [0.5, 4]
    betap_range: [1, 2]

    blur_kernel_size2: 21
    kernel_list2: ['iso', 'aniso', 'generalized_iso', 'generalized_aniso', 'plateau_iso', 'plateau_aniso']
    kernel_prob2: [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    sinc_prob2: 0.1
    blur_sigma2: [0.2, 1.5]
    betag_range2: [0.5, 4]
    betap_range2: [1, 2]

    final_sinc_prob: 0.8

    gt_size: 256
    use_hflip: True
    use_rot: False

    # data loader
    use_shuffle: true
    num_worker_per_gpu: 0
    batch_size_per_gpu: 2
    dataset_enlarge_ratio: 1
    prefetch_mode: ~
"""
VAL_SET = """
  val:
    name: faces_val
    type: PairedImageDataset
    dataroot_gt: datasets/faces/gt
    dataroot_lq: datasets/faces/lq
    io_backend:
      type: disk
"""
RESNET = """
network_g:
  type: MSRResNet
  num_in_ch: 3
  num_out_ch: 3
  num_feat: 8
  num_block: 1
  upscale: 4
"""
RRDBNET = """
network_g:
  type: RRDBNet
  num_in_ch: 3
  num_out_ch: 3
  num_feat: 8
  num_block: 1
  num_grow_ch: 4
"""
VGG_D = """
network_d:
  type: VGGStyleDiscriminator
  num_in_ch: 3
  num_feat: 4
"""
UNET_D = """
network_d:
  type: UNetDiscriminatorSN
  num_in_ch: 3
  num_feat: 8
  skip_connection: True
"""
TRAIN = """
# path
path:
  pretrain_network_g: ~
  param_key_g: params_ema
  strict_load_g: true
  resume_state: ~

# training settings
train:
  ema_decay: 0.999
  optim_g:
    type: Adam
    lr: !!float 1e-4
    weight_decay: 0
    betas: [0.9, 0.99]
{optim_d}
  scheduler:
    type: MultiStepLR
    milestones: [5]
    gamma: 0.5

  total_iter: 10
  warmup_iter: -1  # no warm up

  # losses
  pixel_opt:
    type: L1Loss
    loss_weight: !!float 1e-2
    reduction: mean
{losses}
# validation settings
val:
  val_freq: !!float 5
  save_img: True

  metrics:
    psnr:
      type: calculate_psnr
      crop_border: 4
      test_y_channel: false
    niqe:
      type: calculate_niqe
      better: lower
      crop_border: 4

# logging settings
logger:
  print_freq: 5
  save_checkpoint_freq: !!float 5
  use_tb_logger: true
  wandb:
    project: ~
    resume_id: ~

# dist training settings
dist_params:
  backend: nccl
  port: 29500
"""
OPTIM_D = """
  optim_d:
    type: Adam
    lr: !!float 1e-4
    weight_decay: 0
    betas: [0.9, 0.99]
"""
GAN = """
  perceptual_opt:
    type: PerceptualLoss
    layer_weights:
      'conv5_4': 1
    vgg_type: vgg19
    use_input_norm: true
    range_norm: false
    perceptual_weight: 1.0
    style_weight: 0
    criterion: l1
  gan_opt:
    type: GANLoss
    gan_type: vanilla
    real_label_val: 1.0
    fake_label_val: 0.0
    loss_weight: !!float 5e-3

  net_d_iters: 1
  net_d_init_iters: 0
"""
PLAIN, ADVERSARIAL = TRAIN.format(optim_d='', losses=''), TRAIN.format(optim_d=OPTIM_D, losses=GAN)
FILES = {
    'SRModel': PAIRED + VAL_SET + RESNET + PLAIN,
    'SRGANModel': PAIRED + VAL_SET + RESNET + VGG_D + ADVERSARIAL,
    'ESRGANModel': PAIRED + VAL_SET + RRDBNET + VGG_D + ADVERSARIAL,
    'RealESRNetModel': DEGRADED + VAL_SET + RRDBNET + PLAIN,
    'RealESRGANModel': DEGRADED + VAL_SET + RRDBNET + UNET_D + ADVERSARIAL,
}
# What `python -m` does with each file, one after the other: starting Python five times is most of the time otherwise.
RUN_ALL = """
import runpy, sys
for model in sys.argv[1:]:
    sys.argv = ['train.py', '-opt', f'{model}.yml']
    runpy.run_module('basicsr.train', run_name='__main__', alter_sys=True)
"""


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """Five pictures with their quarter-sized copies, a VGG weight file and the option files."""
    folder = tmp_path / 'datasets' / 'faces'
    for name, size in (('gt', 128), ('lq', 32)):
        (folder / name).mkdir(parents=True)
        for i in range(5):
            small = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC).save(folder / name / f'{i}.png')
    (folder / 'meta_info.txt').write_text(''.join(f'{i}.png\n' for i in range(5)), encoding='utf-8')
    weights = tmp_path / 'experiments' / 'pretrained_models'
    weights.mkdir(parents=True)
    write_vgg(weights, 'vgg19')
    for model, text in FILES.items():
        (tmp_path / f'{model}.yml').write_text(HEAD.format(model=model) + text, encoding='utf-8')
    return tmp_path


@pytest.mark.slow
def test_other_peoples_option_files_run_unchanged(run_python: RunPython, workplace: Path) -> None:
    done = run_python(['-c', RUN_ALL, *FILES], cwd=workplace, env={'CUDA_VISIBLE_DEVICES': ''})
    assert done.stderr.count('End of training') == len(FILES)
    assert done.stderr.count('NIQE needs two blocks') == 1, 'pictures of 128 px: one warning, and no end of the run'
    for model in FILES:
        models = workplace / 'experiments' / model / 'models'
        start, end = (torch.load(models / f'net_g_{i}.pth', weights_only=True)['params'] for i in (5, 10))
        assert all(torch.isfinite(value).all() for value in end.values())
        assert any(not torch.equal(start[key], end[key]) for key in end)
        assert ('GAN' in model) == (models / 'net_d_10.pth').is_file()
        assert (models.parent / 'training_states' / '10.state').is_file()
