"""``train:`` of our models: losses, optimisers, schedule and what else a step goes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator
from typing_extensions import NotRequired, TypedDict

from facesr_ext.settings.kinds import Loss, Natural, PartOf, Share, Whole, option, stock
from facesr_ext.settings.reading import Section, names_of

_NUMBERS = ConfigDict(extra='allow', strict=True, allow_inf_nan=False)
_Positive = Annotated[float, Field(gt=0)]


class Optimizer(TypedDict):
    """An optimiser of torch.optim, under its name there, with its arguments."""

    __pydantic_config__ = _NUMBERS  # type: ignore[misc]

    type: str
    lr: _Positive
    lr_scales: NotRequired[dict[str, Annotated[float, Field(ge=0)]]]


class Scheduler(TypedDict):
    """A schedule of the learning rate, as BasicSR names it, with its arguments."""

    __pydantic_config__ = _NUMBERS  # type: ignore[misc]

    type: str
    periods: NotRequired[Annotated[list[_Positive], Field(min_length=1)]]
    restart_weights: NotRequired[list[Annotated[float, Field(ge=0)]]]
    eta_min: NotRequired[Annotated[float, Field(ge=0)]]
    milestones: NotRequired[list[Annotated[int, Field(ge=1)]]]
    gamma: NotRequired[_Positive]


OptimizerPart = Annotated[Optimizer, PartOf('optimizer')]
SchedulerPart = Annotated[Scheduler, PartOf('scheduler')]


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
    scheduler: SchedulerPart = stock('of the learning rate: MultiStepLR or CosineAnnealingRestartLR', ...)
    micro_batch: Whole | None = option('samples a backward pass; gradients add up to the whole batch; default: all')
    grad_clip: float | None = option('largest gradient norm', ge=0)
    nonfinite_patience: Whole = option('skipped non-finite steps in a row before training saves and stops', 10)
    pixel_opt: Loss | None = stock('loss of the result, pixel by pixel')
    coarse_opt: Loss | None = option('loss of the coarse image of FSRNet')
    content_opt: Loss | None = option('ContentLoss: pixels, VGG features or both, each logged apart')
    perceptual_opt: Loss | None = stock('loss of VGG features')
    landmark_opt: Loss | None = option('loss of the landmark heatmaps of FSRNet')
    parsing_opt: Loss | None = option('loss of the parsing maps of FSRNet')
    prior_targets: PriorTargets = option('what the priors are taught', PriorTargets())


class GANTrain(Train):
    """A training against a discriminator."""

    gan_opt: Loss = stock('GANLoss (vanilla, lsgan, wgan, hinge) or RelativisticGANLoss', ...)
    optim_d: OptimizerPart = stock('optimiser of network_d', ...)
    gradient_penalty_opt: Loss | None = option('GradientPenaltyLoss, for a critic without BatchNorm')
    gan_gt_usm: bool | None = option('the discriminator takes the sharpened GT for real; default: as usm_target')
    net_d_iters: Whole = stock('the generator steps on every so many-th iteration', 1)
    net_d_init_iters: Natural = stock('iterations before its first step', 0)


class DegradationTrain(GANTrain):
    """A training of a high-to-low network."""

    diversity_opt: Loss | None = option('results of different z are to differ, up to a bound')
    latent_opt: Loss | None = option('z is to be guessed from the result; network_g needs regress_z: true')

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
