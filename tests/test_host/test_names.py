"""Another package with parts of our names: both work, whoever comes first, and stock training goes on in any case."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from basicsr.utils.registry import ARCH_REGISTRY, Registry

from facesr_ext.host import names
from facesr_ext.host.registry import PART_REGISTRIES
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint
from tests.support import OPTIONS as SHIPPED
from tests.support import small_options, write_options
from tests.test_host.test_runner import OPTIONS, workplace

__all__ = ['workplace']  # a fixture

RunPython = Callable[..., 'subprocess.CompletedProcess[str]']
OURS = {
    kind: [name for name, part in registry if part.__module__.startswith('facesr_ext.')]
    for kind, registry in PART_REGISTRIES.items()
    if kind != 'degradations'
}
FOREIGN = f"""
from basicsr.utils import registry as r
OURS = {OURS!r}
REGISTRIES = {{'archs': r.ARCH_REGISTRY, 'losses': r.LOSS_REGISTRY, 'models': r.MODEL_REGISTRY,
               'datasets': r.DATASET_REGISTRY, 'metrics': r.METRIC_REGISTRY}}
for kind, names in OURS.items():
    for name in names:
        REGISTRIES[kind].register()(type(name, (), {{'__module__': 'animesr.parts'}}))
"""
SHIM = """
import sys
from importlib.machinery import ModuleSpec
from facesr_ext._hook import ShimLoader
class Finder:
    def find_spec(name, path=None, target=None):
        return ModuleSpec(name, ShimLoader()) if name == 'torchvision.transforms.functional_tensor' else None
sys.meta_path.append(Finder)
import basicsr
"""
BOTH_ARE_THERE = """
for kind, names in OURS.items():
    for name in names:
        theirs, ours = REGISTRIES[kind].get(name), REGISTRIES[kind].get(name + '_facesr_ext')
        assert theirs.__module__ == 'animesr.parts' and ours.__module__.startswith('facesr_ext.'), name
from facesr_ext.check import examine
(told,) = [str(f) for f in examine.check_file('ours.yml', 'train') if 'network_g' in f.key and 'SRCNN' in str(f)]
assert 'animesr.parts' in told and 'SRCNN_facesr_ext' in told and 'ours.yml:' in told, told
from facesr_ext.cli.run import run
run('train', ['-opt', 'train.yml', '--force_yml', 'train:total_iter=2'])
"""


@pytest.mark.parametrize('first', ['theirs', 'ours'])
def test_a_package_that_registers_all_our_names(run_python: RunPython, workplace: Path, first: str) -> None:
    theirs = OPTIONS.replace('{type: MSRResNet, num_in_ch: 3, num_out_ch: 3, num_feat: 4, num_block: 1, upscale: 4}',
                             '{type: SRCNN}')  # fmt: skip
    (workplace / 'ours.yml').write_text(theirs, encoding='utf-8')
    register = 'import facesr_ext\nfacesr_ext.register()\n'
    before = SHIM + FOREIGN + register if first == 'theirs' else register + FOREIGN
    env = {'FACESR_EXT_AUTOLOAD': '0' if first == 'theirs' else '1'}
    done = run_python(before + BOTH_ARE_THERE, cwd=workplace, env=env)
    (line,) = [line for line in done.stderr.splitlines() if 'names are those of animesr' in line]
    assert 'SRCNN' in line and 'FaceSRModel' in line
    (log,) = (workplace / 'experiments' / 'whole').glob('train_*.log')
    assert 'names are those of animesr' in log.read_text(encoding='utf-8')
    assert (workplace / 'experiments' / 'whole' / 'models' / 'net_g_latest.pth').is_file()


REBUILT = """
import torch
import yaml
from facesr_ext.inference.restorer import Restorer
from facesr_ext.cli.run import run
for checkpoint in ('experiments/srcnn', 'nameless.pth'):
    restorer = Restorer(checkpoint, device='cpu')
    assert type(restorer.net).__module__ == 'facesr_ext.archs.srcnn_arch', checkpoint
small = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
torch.save(restorer.restore(small), 'restored.pth')
from facesr_ext.runs.described_options import test_file_of
forced = ['path:pretrain_network_g=experiments/srcnn', 'num_gpu=0', 'datasets:test_1:num_faces=2']
run('test', ['-opt', str(test_file_of('experiments/srcnn')), '--force_yml', *forced])
network = 'network_g={type: SRCNN, num_feat: 4, kernel_sizes: [9, 1, 5]}'
run('test', ['-opt', 'test_ours.yml', '--force_yml', *forced, network, 'name=stated'])
"""


@pytest.mark.parametrize('first', ['theirs', 'ours'])
def test_a_checkpoint_of_ours_is_rebuilt_by_our_class(run_python: RunPython, workplace: Path, first: str) -> None:
    """By Restorer, ``facesr test RUN`` and a test file that names the network, beside a package with all our names."""
    options = small_options(SHIPPED / 'srcnn.yml')
    options['name'] = 'srcnn'
    write_options(options, workplace / 'srcnn.yml')
    run_python(['-m', 'basicsr.train', '-opt', 'srcnn.yml'], cwd=workplace)
    content = load_checkpoint(workplace / 'experiments' / 'srcnn' / 'models' / 'net_g_latest.pth')
    assert content[META_KEY].pop('arch_from') == 'facesr_ext'
    torch.save(content, workplace / 'nameless.pth')  # as they were before whose it is was written
    test = yaml.safe_load((SHIPPED / 'test.yml').read_text(encoding='utf-8'))
    test['model_type'], test['datasets']['test_1']['type'] = 'FaceSRModel_facesr_ext', 'FaceDataset_facesr_ext'
    test['datasets']['test_1']['image_size'] = 64
    test['val']['metrics'] = {'psnr': {'type': 'psnr_y_facesr_ext', 'crop_border': 0}}
    write_options(test, workplace / 'test_ours.yml')
    run_python('import basicsr\n' + REBUILT, cwd=workplace)
    alone = {path.name: path.read_bytes() for path in (workplace / 'results').rglob('*.png')}
    restored = (workplace / 'restored.pth').read_bytes()
    shutil.rmtree(workplace / 'results')

    register = 'import facesr_ext\nfacesr_ext.register()\n'
    before = SHIM + FOREIGN + register if first == 'theirs' else register + FOREIGN
    env = {'FACESR_EXT_AUTOLOAD': '0' if first == 'theirs' else '1'}
    run_python(before + REBUILT, cwd=workplace, env=env)
    assert alone and {path.name: path.read_bytes() for path in (workplace / 'results').rglob('*.png')} == alone
    assert (workplace / 'restored.pth').read_bytes() == restored


def test_a_network_has_the_name_by_which_it_is_built_here(tmp_path: Path) -> None:
    def name_of(**metadata: object) -> str:
        torch.save({'params': {}, META_KEY: metadata}, tmp_path / 'net.pth')
        return str(load_checkpoint(tmp_path / 'net.pth')[META_KEY]['arch']['type'])

    assert (
        name_of(arch={'type': 'SRCNN_facesr_ext'}, arch_from='facesr_ext') == 'SRCNN'
    )  # from beside the other package
    try:
        ARCH_REGISTRY.register(type('SRCNN', (), {'__module__': 'animesr.parts'}))
        assert name_of(arch={'type': 'SRCNN'}) == 'SRCNN_facesr_ext'
        assert name_of(arch={'type': 'SRCNN'}, arch_from='animesr') == 'SRCNN'
        assert name_of(arch={'type': 'MSRResNet'}, arch_from='basicsr') == 'MSRResNet'
        assert names.package_of(ARCH_REGISTRY, 'SRCNN') == 'animesr'
    finally:
        ARCH_REGISTRY._obj_map['SRCNN'] = ARCH_REGISTRY._obj_map.pop('SRCNN_facesr_ext')
        names._TAKEN.pop(('arch', 'SRCNN'))


def test_names_of_others_clash_as_before_and_ours_answer_to_the_suffix() -> None:
    registry = Registry('of a test')
    theirs, ours = type('Part', (), {'__module__': 'one'}), type('Part', (), {'__module__': 'facesr_ext.archs.x'})
    registry.register(theirs)
    with pytest.raises(AssertionError, match='already registered'):
        registry.register(type('Part', (), {'__module__': 'two'}))
    registry.register(ours)
    assert dict(registry._obj_map) == {'Part': theirs, f'Part{names.SUFFIX}': ours}
    assert names.taken_by(registry, 'Part') == 'one' and names.taken_by(ARCH_REGISTRY, 'Part') is None
    assert ARCH_REGISTRY.get('SRCNN_facesr_ext') is ARCH_REGISTRY.get('SRCNN')
    registry.register(theirs, suffix='x')
    assert registry.get('Part', suffix='x') is theirs and registry.get('Part_x') is theirs
    names._TAKEN.pop(('of a test', 'Part'))


def test_stock_training_goes_on_where_ours_cannot_be_registered(run_python: RunPython, workplace: Path) -> None:
    broken = """
import importlib, runpy, sys
real = importlib.import_module
def import_module(name, package=None):
    if name == 'facesr_ext.archs.srcnn_arch':
        raise RuntimeError('a broken part')
    return real(name, package)
importlib.import_module = import_module
sys.argv[1:] = ['-opt', 'train.yml', '--force_yml', 'train:total_iter=2']
runpy.run_module('basicsr.train', run_name='__main__', alter_sys=True)
"""
    done = run_python(broken, cwd=workplace)
    assert 'basicsr.train runs without it (RuntimeError: a broken part)' in done.stderr
    assert (workplace / 'experiments' / 'whole' / 'models' / 'net_g_latest.pth').is_file()
