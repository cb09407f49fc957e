"""The top of an option file: the keys of BasicSR's files, and those that our models read besides."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from facesr_ext.settings.kinds import Count, DegradationPart, Gpus, Network, PartOf, Seed, Whole, option, stock
from facesr_ext.settings.reading import Section

Sets = dict[str, Annotated[dict[str, Any], PartOf('dataset')]]


class Challenge(Section):
    """The rules of a challenge."""

    max_params: Whole | None = option('the most parameters that network_g may have')


class File(Section):
    """What BasicSR reads of any file."""

    name: str | None = stock('names the run: experiments/<name>, results/<name>', ...)
    model_type: str = stock('the model, which trains and tests', ...)
    scale: Count | None = stock('LR-to-HR factor')
    num_gpu: Gpus = stock('auto: all that are there; 0: the CPU', ...)
    manual_seed: Seed | None = stock('what every random draw is a function of; default: drawn')
    datasets: Sets = stock('train, val, val_1 ...; in tests test_1, test_2 ...', ...)
    path: dict[str, Any] = stock('weights and states to start from', ...)
    dist_params: dict[str, Any] | None = stock('of processes that a launcher starts')
    find_unused_parameters: bool = stock('for networks of which a step leaves parts unused, with a launcher', False)


class TrainFile(File):
    """A file to train by."""

    train: dict[str, Any] = stock('losses, optimisers, schedule', ...)
    val: dict[str, Any] | None = stock('validation')
    logger: dict[str, Any] = stock('log and checkpoints', ...)


class TestFile(File):
    """A file to test by."""

    __test__ = False  # pytest: no class of tests

    val: dict[str, Any] = stock('what is measured and saved', ...)


class _Ours(Section):
    degradation: DegradationPart | None = option('how LQ is made from GT: a preset, or a type and its arguments')
    precision: Literal['auto', 'fp32', 'bf16', 'fp16'] = option(
        'of training; auto: bf16 where the device has instructions for it, else fp32; fp16 on CUDA alone', 'fp32'
    )
    channels_last: bool = option('memory layout of networks and batches', False)
    compile: bool = option('torch.compile of the networks; names in checkpoints stay as they are', False)
    tf32: bool | None = option("TF32 products on CUDA; default: torch's setting")
    challenge: Challenge = option('the rules of a challenge', Challenge())


class FaceTrainFile(_Ours, TrainFile):
    """A file to train one of our models by."""

    scale: Count = stock('LR-to-HR factor', ...)
    network_g: Network = stock('the network', ...)


class FaceGANTrainFile(FaceTrainFile):
    """A file to train one of our models with a discriminator by."""

    network_d: Network = stock('its discriminator', ...)


class FaceTestFile(_Ours, TestFile):
    """A file to test one of our models by; what it leaves out of network, scale and degradation its checkpoint says."""

    __test__ = False

    name: str | None = stock('names results/<name>; default: as the run of the checkpoint')
    network_g: Network | None = stock('the network; default: what the checkpoint says')


class Path(Section):
    """``path:``; each network has its own keys, here those of ``network_g``."""

    pretrain_network_g: str | None = stock('checkpoint to start from; in tests a run folder, too')
    param_key_g: str | None = stock('which weights of it: params_ema or params; default: the averaged ones if there')
    strict_load_g: bool = stock('false: load what fits, and say how much', True)
    resume_state: str | None = stock('training state to go on from; --auto_resume finds the newest')
    ignore_resume_networks: str | list[str] | None = stock('networks that a resumed run does not load')
