"""``train:`` of our models: losses, optimisers, schedule and what else a step goes by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator
from typing_extensions import NotRequired, TypedDict

from facesr_ext.settings.kinds import Loss, Natural, PartOf, Share, Whole, option, stock
from facesr_ext.settings.reading import Section, names_of

_NUMBERS = ConfigDict(extra='allow', strict=True, allow_inf_nan=False)
_LOGGED = ('pix', 'coarse', 'content', 'percep', 'style', 'landmark', 'parsing', 'gan', 'diversity')


def _loss_name(value: str) -> str:
    """A word that the log has for no other loss."""
    if re.fullmatch('[a-z][a-z0-9_]*', value) is None:
        raise ValueError(f'must be a word of a to z, 0 to 9 and _, as the log calls the loss by it, not {value!r}')
    if value.startswith(tuple(f'{name}_' for name in _LOGGED)) or value in _LOGGED:
        raise ValueError(f'{value!r} is what the log calls another loss; take another name')
    return value


_Positive = Annotated[float, Field(gt=0)]


class Optimizer(TypedDict):
    """An optimiser of torch.optim, under its name there, with its arguments."""

    __pydantic_config__ = _NUMBERS  # type: ignore[misc]

    type: str
    lr: _Positive
    lr_scales: NotRequired[dict[str, Annotated[float, Field(ge=0)]]]


class Scheduler(TypedDict):
    """A schedule of the learning rate, as BasicSR names it or of ours, with its arguments."""

    __pydantic_config__ = _NUMBERS  # type: ignore[misc]

    type: str
    periods: NotRequired[Annotated[list[_Positive], Field(min_length=1)]]
    restart_weights: NotRequired[list[Annotated[float, Field(ge=0)]]]
    eta_min: NotRequired[Annotated[float, Field(ge=0)]]
    milestones: NotRequired[list[Annotated[int, Field(ge=1)]]]
    gamma: NotRequired[_Positive]
    hold_iter: NotRequired[Annotated[int, Field(ge=0)]]
    decay_iter: NotRequired[Annotated[int, Field(ge=1)]]
    shape: NotRequired[Literal['linear', 'cosine', 'sqrt']]


OptimizerPart = Annotated[Optimizer, PartOf('optimizer')]
SchedulerPart = Annotated[Scheduler, PartOf('scheduler')]


class Augment(Section):
    """What is done to a training batch on the device; each probability is that of a sample, 0 is off."""

    colours: float = option('probability of exchanged colour channels, before the degradation', 0.0, ge=0, le=1)
    mixup: float = option('probability of a blend with another sample; no labels may be read', 0.0, ge=0, le=1)
    mixup_alpha: float = option(
        'of Beta(alpha, alpha), which draws the share: 1 any, less near none', 0.4, ge=0.05, le=1
    )
    cutblur: float = option(
        "probability of a rectangle of the GT in the LQ, or around it; for networks that take the GT's size",
        0.0,
        ge=0,
        le=1,
    )


LossName = Annotated[str, AfterValidator(_loss_name)]


class PriorTargets(Section):
    """What a network's priors are taught."""

    parsing: Literal['helen11', 'csgiung11'] = option('the parsing maps: which classes make which map', 'helen11')
    sigma: float = option("standard deviation of the landmarks' heatmaps, in their pixels", 1.5, gt=0)


class Train(Section):
    """A training of one network."""

    total_iter: Whole = stock('iterations', ...)
    warmup_iter: Annotated[int, Field(ge=-1)] = stock('iterations in which the rate rises from 0; -1: none', -1)
    ema_decay: Share = stock('of the averaged weights, which validation and tests take; 0: none', 0.0)
    optim_g: OptimizerPart = stock('optimiser of network_g: any of torch.optim; lr_scales: slower parts of it', ...)
    scheduler: SchedulerPart = stock(
        'of the learning rate: MultiStepLR, CosineAnnealingRestartLR, CosineLR or WarmupStableDecayLR', ...
    )
    micro_batch: Whole | None = option('samples a backward pass; gradients add up to the whole batch; default: all')
    grad_clip: float | None = option('largest gradient norm', ge=0)
    nonfinite_patience: Whole = option('skipped non-finite steps in a row before training saves and stops', 10)
    pixel_opt: Loss | None = stock('loss of the result, pixel by pixel')
    coarse_opt: Loss | None = option('loss of the coarse image of FSRNet')
    content_opt: Loss | None = option('ContentLoss: pixels, VGG features or both, each logged apart')
    perceptual_opt: Loss | None = stock('loss of VGG features')
    landmark_opt: Loss | None = option('loss of the landmark heatmaps of FSRNet')
    parsing_opt: Loss | None = option('loss of the parsing maps of FSRNet')
    losses: dict[LossName, Loss] = option(
        'further losses by the names that the log gives them: {fft: {type: FFTLoss, loss_weight: 0.01}, ...}', {}
    )
    augment: Augment = option('augmentation of batches on the device', Augment())
    prior_targets: PriorTargets = option('what the priors are taught', PriorTargets())


class GANTrain(Train):
    """A training against a discriminator."""

    gan_opt: Loss = stock('GANLoss (vanilla, lsgan, wgan, hinge) or RelativisticGANLoss', ...)
    optim_d: OptimizerPart = stock('optimiser of network_d', ...)
    gan_ramp_iter: Natural = option(
        "iterations in which the GAN loss's weight rises from 0, from the generator's first step on; 0: at once", 0
    )
    gan_ramp: Literal['linear', 'cosine'] = option('along which it rises', 'linear')
    gan_real_label: float | None = option(
        "the discriminator's label of real images, as 0.9 (one-sided smoothing); default: real_label_val of gan_opt",
        gt=0.5,
        le=1,
    )
    gradient_penalty_opt: Loss | None = option('GradientPenaltyLoss or R1PenaltyLoss, for a critic without BatchNorm')
    gan_gt_usm: bool | None = option('the discriminator takes the sharpened GT for real; default: as usm_target')
    net_d_iters: Whole = stock('the generator steps on every so many-th iteration', 1)
    net_d_init_iters: Natural = stock('iterations before its first step', 0)

    @field_validator('gan_real_label')
    @classmethod
    def _is_of_a_loss_with_labels(cls, value: float | None, info: ValidationInfo) -> float | None:
        gan = info.data.get('gan_opt') or {}  # missing where it is wrong itself
        if value is not None and gan.get('gan_type', 'vanilla') not in ('vanilla', 'lsgan'):
            raise ValueError(f'is for gan_type vanilla and lsgan; {gan["gan_type"]} has no labels: remove it')
        return value


class DegradationTrain(GANTrain):
    """A training of a high-to-low network."""

    diversity_opt: Loss | None = option('results of different z are to differ, up to a bound')
    statistics_opt: Loss | None = option(
        'results are to be as often sharp, blurred, noisy and clean as real LR faces are'
    )
    latent_opt: Loss | None = option('z is to be guessed from the result; network_g needs regress_z: true')

    @field_validator('augment')
    @classmethod
    def _has_no_pairs(cls, value: Augment) -> Augment:
        if value != Augment():
            raise ValueError('the LR faces belong to other people, so there are no pairs; remove it')
        return value

    @field_validator('gan_gt_usm')
    @classmethod
    def _has_no_gt(cls, value: bool | None) -> bool | None:
        raise ValueError('real are the LR faces of the other set, as they are; remove it')


def keys_of_heirs(settings: type[Train], section: Mapping[str, Any]) -> list[str]:
    """Keys that only a model derived from this one reads: what is left over where a file's model_type is its parent's.

    Args:
        settings (type[Train]): What the model reads.
        section (Mapping): ``train:`` of the option file.
    """
    own, theirs, heirs = set(names_of(settings)), set(), list(settings.__subclasses__())
    for heir in heirs:  # grows as it goes
        theirs.update(names_of(heir))
        heirs += heir.__subclasses__()
    return [key for key in section if key in theirs - own]


class Stage(Section):
    """One stage of networks that grow."""

    size: Whole = option('side of its image, pixels', ...)
    iters: Whole = option('iterations that it lasts', ...)
    fade: float | None = option('part of it in which it fades in; default: half, none in the first', ge=0, le=1)
    micro_batch: Whole | None = option('samples a backward pass; default: train:micro_batch')


class SRPGGANTrain(GANTrain):
    """A training of networks that grow."""

    stages: Annotated[list[Stage], Field(min_length=1)] = option('one entry a size, as {size: 64, iters: 40000}', ...)
