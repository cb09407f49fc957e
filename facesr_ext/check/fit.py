"""The option check's look at what must suit each other: data, degradation, network, losses, precision, budget."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import ArchInfo, arch_info, makes_no_image, scale_argument
from facesr_ext.check.report import Check, Part, arguments_of, first_line
from facesr_ext.degradations.presets import PRESETS
from facesr_ext.errors import FaceSRError, KeyPath, OptionError
from facesr_ext.models.augment import augment_faults
from facesr_ext.models.budget import count_parameters, require_budget
from facesr_ext.models.critic import refuse_batch_norm, refuse_size
from facesr_ext.models.growth import stage_faults
from facesr_ext.models.loss_table import LOSS_TABLE, no_loss, stated_losses, unlabelled_losses, unserved_losses
from facesr_ext.models.param_groups import parameter_groups
from facesr_ext.models.precision import Precision
from facesr_ext.models.priors import PriorTargets
from facesr_ext.models.tiles import Tiling
from facesr_ext.settings.reading import read
from facesr_ext.settings.train import Augment, SRPGGANTrain, Stage
from facesr_ext.settings.train import PriorTargets as Targets


def check_networks(check: Check) -> None:
    """Builds the networks of our files without memory for their weights, and looks whether they suit the file."""
    for part in check.parts if check.ours else ():
        if part.path[0].startswith('network_') and part.target is not None and check.clean(part.path):
            net = _build(check, part)
            if net is not None:
                check.known.nets[part.path[0]] = net
    net = check.known.nets.get('network_g')
    if net is None:
        return
    if check.clean(('challenge',)):
        try:
            require_budget(net, check.section('challenge').get('max_params'))
        except OptionError as err:
            check.problem(err)
    if check.our_model and makes_no_image(net):
        message = f'{type(net).__name__} makes no RGB image of one, by whatever size it was tried with on the CPU'
        check.warning(('network_g', 'type'), f'{message}; it must return one tensor (N, 3, h, w)')
    if check.train and not count_parameters(net):
        check.error(('network_g', 'type'), f'{type(net).__name__} has no parameters, so there is nothing to train')


def _build(check: Check, part: Part) -> nn.Module | None:
    """A network on the meta device; one that computes while it is built, is built on the CPU and brought there."""
    for device in ('meta', 'cpu'):
        try:
            with torch.device(device), torch.random.fork_rng(devices=[]):
                net: nn.Module = part.target(**arguments_of(part.section))  # type: ignore[misc]
            arch_info(net)  # while it has values: some networks cannot be tried without
            empty = [name for name, parameter in net.named_parameters() if not parameter.numel()]
            if empty:
                check.error(
                    (*part.path, 'type'), f'{empty[0]} has no weights: one of its sizes is 0 with these options'
                )
            return net.to('meta')
        except FaceSRError as err:
            check.problem(err, part.path)
            return None
        except (TypeError, ValueError, AssertionError, RuntimeError) as err:
            if isinstance(err, RuntimeError) and device == 'meta':
                continue
            check.error((*part.path, 'type'), f'cannot be built with these options: {first_line(err)}')
            return None
        except ImportError:  # it needs what this machine has not, as the run will say
            return None
    return None


def check_loss_values(check: Check) -> None:
    """Builds the losses of our files, except those that would load weights."""
    for part in check.parts if check.ours else ():
        if part.registry is not LOSS_REGISTRY or part.target is None or not check.clean(part.path):
            continue
        if any(re.search('vgg|weights|path', name) for name in inspect.signature(part.target).parameters):
            continue
        try:
            part.target(**arguments_of(part.section))
        except (TypeError, ValueError, AssertionError, NotImplementedError, FaceSRError) as err:
            check.error(part.path, f'cannot be built with these options: {first_line(err)}')


def check_weights(check: Check) -> None:
    """A test of a network with random weights, or of none."""
    key, net = 'pretrain_network_g', check.known.nets.get('network_g')
    trained = net is None or any(True for _ in net.parameters())
    if check.train or not check.our_model or not trained or check.section('path').get(key):
        return
    if ('path', key) not in check.meant and check.clean(('network_g',)):
        check.error(('path', key), 'is not set: name the run or the checkpoint to test, as experiments/fsrgan_x8')


def check_precision(check: Check) -> None:
    """Precision and memory layout, of our models alone."""
    if not check.our_model or not check.clean(('precision',), ('channels_last',), ('num_gpu',)):
        return
    cuda = check.opt.get('num_gpu') != 0 and torch.cuda.is_available()
    settings = {key: value for key, value in check.opt.items() if key != 'tf32'}  # that one takes effect at once
    try:
        precision = Precision(settings, torch.device('cuda' if cuda else 'cpu'))
        for key, net in check.known.nets.items():
            precision.require(key, net)
    except FaceSRError as err:
        check.problem(err)


def check_input(check: Check) -> None:
    """Whether each data set and the degradation give what the network takes."""
    net, scale = check.known.nets.get('network_g'), check.opt.get('scale')
    if not check.our_model or net is None:
        return
    if not isinstance(scale, int):
        check.missing_keys((), ('scale',), 'the LR-to-HR factor is needed')
        return
    info = arch_info(net)
    if info.scale not in (1, scale):
        message = f'the network is built for {info.scale}x, but scale is {scale}; make them agree'
        check.error(('network_g', scale_argument(net)), message)
        return
    for phase, section in check.section('datasets').items():
        suitable = isinstance(section, dict) and check.clean(('datasets', phase), ('degradation',), ('scale',))
        if suitable and not _check_set(check, ('datasets', phase), section, info):
            return


def _smaller(check: Check) -> str:
    """What gives the small LQ: the preset that differs in nothing but ``enlarge``, or enlarge: false."""
    section = check.section('degradation')
    settings = {**PRESETS.get(str(section.get('preset')), {}), **section}
    wanted = {key: value for key, value in settings.items() if key not in ('preset', 'enlarge')}
    fitting = next((name for name, preset in PRESETS.items() if preset == wanted), None)
    return f'preset: {fitting}' if fitting else 'enlarge: false'


def _check_set(check: Check, place: KeyPath, section: dict[str, Any], info: ArchInfo) -> bool:
    """Whether a set gives an LQ at all; its size and kind are reported."""
    sample = check.known.samples.get(place[1], {})
    degradation = check.known.degradation
    has_lq = 'lq' in sample or section.get('dataroot_lq') is not None
    if not has_lq and degradation is None:
        message = 'gives no LQ: add a degradation section (such as preset: fsrnet_x8), or take PairedFaceDataset with '
        check.error((*place, 'type'), f'{message}dataroot_lq')
        return False
    enlarged = bool(section.get('lq_enlarged')) if has_lq else bool(getattr(degradation, 'enlarged', False))
    if enlarged and info.input == 'small':
        where = (*place, 'lq_enlarged') if has_lq else ('degradation',)
        remedy = 'lq_enlarged: false, where the LQ are stored small' if has_lq else _smaller(check)
        check.error(where, f'gives an enlarged LQ, but network_g takes the small one; write {remedy}')
        return True
    size = tuple(sample['gt'].shape[-2:]) if 'gt' in sample else ()
    key = 'gt_size' if place[1] == 'train' and section.get('gt_size') else 'image_size'
    if size and (place[1] == 'train' or info.input == 'hr' and section.get('image_size')):
        _check_size(check, (*place, key), size, info)
    elif size:
        _check_measured_size(check, place, section, size, info)
    return True


def _check_measured_size(
    check: Check, place: KeyPath, section: dict[str, Any], size: tuple[int, ...], info: ArchInfo
) -> None:
    """What becomes of the GT of a validation or test: it is cut to a multiple of the scale, the LQ filled up inside."""
    scale, fixed, wide = check.opt['scale'], info.sizes.fixed, 'x'.join(map(str, size[::-1]))
    cut = tuple(side - side % scale for side in size)
    given = tuple(side // scale for side in cut) if info.input == 'small' else cut
    if fixed and set(given) != {fixed}:
        factor = scale if info.input == 'small' else 1
        where = (*place, 'image_size' if 'image_size' in section else 'dataroot_gt')
        check.error(where, f'{wide} px do not suit network_g, which takes {fixed * factor} px alone')
    elif cut != size:
        where = (*place, 'image_size' if section.get('image_size') else 'dataroot_gt')
        shown = 'x'.join(map(str, cut[::-1]))
        check.warning(
            where, f'a GT of {wide} px is no multiple of the scale {scale}; it is measured on {shown} px of it'
        )


def _check_size(check: Check, place: KeyPath, size: tuple[int, ...], info: ArchInfo) -> None:
    """Whether the network can take pictures whose GT has this size."""
    scale, shown = check.opt['scale'], 'x'.join(map(str, size[::-1]))
    if any(side % scale for side in size):
        check.error(place, f'a GT of {shown} px cannot be reduced by the scale {scale}; take a multiple of {scale}')
        return
    given = tuple(side // scale for side in size) if info.input == 'small' else size
    factor = scale if info.input == 'small' else 1
    check.known.input_size = check.known.input_size or given
    if any(side % info.sizes.multiple_of for side in given):
        multiple = info.sizes.multiple_of * factor
        or_else = ' (or for FSRNet a smaller hg_depth)' if info.priors is not None else ''
        remedy = f'take a multiple of {multiple}{or_else}'
        check.error(place, f'{shown} px do not suit network_g; {remedy}')
    elif info.sizes.fixed and set(given) != {info.sizes.fixed}:
        check.error(place, f'{shown} px do not suit network_g, which takes {info.sizes.fixed * factor} px alone')


def check_tiles(check: Check) -> None:
    """Tiles that the network does not take."""
    net, tile = check.known.nets.get('network_g'), check.section('val', 'tile')
    if not check.our_model or net is None or not tile or not check.clean(('val', 'tile')):
        return
    try:
        Tiling(tile['size'], tile['overlap']).require(('val', 'tile'), arch_info(net).sizes.multiple_of)
    except OptionError as err:
        check.problem(err)


def check_priors(check: Check) -> None:
    """A prior head that nothing teaches, or that has another number of maps than the labels."""
    net, train = check.known.nets.get('network_g'), check.section('train')
    taught = [('train', key) for key in (*LOSS_TABLE, 'losses', 'prior_targets')]
    if not check.our_model or net is None or not check.clean(*taught):
        return
    targets = read(Targets, train.get('prior_targets'))
    try:
        priors = PriorTargets(net, targets.parsing, targets.sigma)
        if check.train and check.clean(('datasets', 'train')):
            priors.require_supervised(train, check.section('datasets', 'train'))
    except FaceSRError as err:
        check.problem(err)
        return
    for phase, section in check.section('datasets').items():
        sample = check.known.samples.get(phase, {})
        given = len(sample.get('landmarks', ()))
        if priors.num_landmark and given and given != priors.num_landmark:
            key = 'num_landmark' if 'num_landmark' in section else 'dataroot_gt'
            message = f'gives {given} landmarks a face, but network_g predicts {priors.num_landmark}'
            check.error(('datasets', phase, key), f'{message}; set num_landmark alike in both')
            return  # other sets have the same fault, or will say so when this one is mended


def check_critic(check: Check) -> None:
    """A discriminator that bears neither its losses nor the size of the faces."""
    net, sample = check.known.nets.get('network_d'), check.known.samples.get('train', {})
    if not check.our_model or net is None:
        return
    try:
        if check.section('train', 'gradient_penalty_opt'):
            refuse_batch_norm(net)
        if 'gt' in sample and check.clean(('datasets', 'train')):
            refuse_size(net, tuple(sample['gt'].shape[-2:]))
    except OptionError as err:
        check.problem(err)


def check_stages(check: Check) -> None:
    """``train: stages`` of networks that grow."""
    net_g, net_d = check.known.nets.get('network_g'), check.known.nets.get('network_d')
    grows = check.our_model and issubclass(check.model.SETTINGS, SRPGGANTrain)
    if check.train and grows and check.clean(('train', 'stages')) and net_g is not None and net_d is not None:
        section = check.section('train')
        stages = [read(Stage, entry) for entry in section['stages']]
        for err in stage_faults(stages, section.get('total_iter'), net_g, net_d):
            check.problem(err)


def check_losses(check: Check) -> None:
    """A training without any loss; losses and augmentation that network, model or labels cannot serve."""
    train, net = check.section('train'), check.known.nets.get('network_g')
    if check.train and train and check.our_model:
        for err in unserved_losses(train, arch_info(net), check.model.SERVES) if net is not None else ():
            check.problem(err)
        if net is not None and check.clean(('train', 'augment')):
            reads = {loss.reads for loss in stated_losses(train)}
            for err in augment_faults(read(Augment, train.get('augment')), reads, arch_info(net)):
                check.problem(err)
        if check.clean(('datasets', 'train')):
            for err in unlabelled_losses(train, check.section('datasets', 'train')):
                check.problem(err)
        names = (*LOSS_TABLE, 'losses')
        misspelled = any(key[:1] == ('train',) and key[1:] and key[1] in names for key in check.meant)
        if not misspelled and not any(True for _ in stated_losses(train)):
            check.problem(no_loss())


def check_learning_rates(check: Check) -> None:
    """Learning rates of parts that a network does not have."""
    for key, section in check.section('train').items() if check.our_model else ():
        net = check.known.nets.get(key.replace('optim_', 'network_')) if key.startswith('optim_') else None
        if net is None or not isinstance(section, dict) or not check.clean(('train', key)):
            continue
        try:
            parameter_groups(net, 1.0, section.get('lr_scales'))
        except OptionError as err:
            check.error(('train', key, *err.key), err.message)


CHECKS: tuple[Callable[[Check], None], ...] = (
    check_networks,
    check_loss_values,
    check_weights,
    check_precision,
    check_input,
    check_tiles,
    check_priors,
    check_critic,
    check_stages,
    check_losses,
    check_learning_rates,
)
