"""``facesr compare --train``: what nobody has trained is trained first, once, and each after what it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from facesr_ext.cli.main import main
from facesr_ext.comparison.examine import read_comparison
from facesr_ext.comparison.methods import trainings
from facesr_ext.comparison.results import Comparison, ResultFolder
from facesr_ext.comparison.train import train_missing
from facesr_ext.data.image_io import write_image
from facesr_ext.errors import OptionError
from facesr_ext.faces.drawn.face import DrawnFaces
from facesr_ext.host.source import OptionFile

SHORT = [
    'num_gpu=0', 'train:total_iter=2', 'datasets:train:num_faces=8', 'datasets:train:num_worker_per_gpu=0',
    'datasets:train:persistent_workers=false', 'val:val_freq=2', 'datasets:val:num_faces=1',
    'logger:save_checkpoint_freq=2', 'logger:use_tb_logger=false',
]  # fmt: skip


def options(**methods: Any) -> dict[str, Any]:
    return {
        'name': 'trained',
        'scale': 4,
        'num_gpu': 0,
        'degradation': {'preset': 'bicubic_x4'},
        'datasets': {'faces': {'dataroot_gt': 'builtin', 'image_size': 64, 'num_faces': 2}},
        'force_yml': SHORT,
        'methods': {'bicubic': {'network_g': {'type': 'Bicubic', 'scale': 4}}, **methods},
        'val': {'metrics': {'psnr_rgb': {'type': 'psnr_rgb'}}},
    }


def test_missing_runs_are_trained_once_and_the_rest_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for i in range(4):
        write_image(f'photos/{i}.png', DrawnFaces(4, 5, 128)[i].image)
    Path('photos/3.png').write_bytes(Path('photos/3.png').read_bytes()[:2000])  # its header can be read
    broken = {'opt': 'options/srcnn.yml', 'force_yml': ['datasets:train:dataroot_gt=photos']}
    opt = options(espcn={'opt': 'options/espcn.yml'}, srcnn=broken)
    Path('mine.yml').write_text(yaml.safe_dump(opt, sort_keys=False))
    with pytest.raises(SystemExit) as end:
        main(['compare', '-opt', 'mine.yml', '--train'])
    assert not end.value.code
    found = Comparison.read(Path('results/trained/comparison.json'))
    assert [method.name for method in found.ran('faces')] == ['bicubic', 'espcn']
    assert any('srcnn_x4 has failed' in note for note in found.notes) and 'srcnn_x4' in found.problems['faces']['srcnn']
    assert found.machine['Command'] == 'facesr compare -opt mine.yml --train'
    state = Path('experiments/espcn_x4/training_states/2.state')
    before = state.stat().st_mtime_ns
    told: list[str] = []
    file = read_comparison(OptionFile('mine.yml', yaml.safe_dump(options(espcn=opt['methods']['espcn']))))
    assert train_missing(trainings(file), ResultFolder(Path('results/trained')), told.append) == [] and told == []
    assert state.stat().st_mtime_ns == before


def test_a_fault_is_told_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = {'opt': 'options/srcnn.yml', 'force_yml': ['train:optim_g:type=Adamm']}
    text = yaml.safe_dump(options(espcn={'opt': 'options/espcn.yml'}, srcnn=wrong), sort_keys=False)
    with pytest.raises(OptionError, match='did you mean Adam'):
        train_missing(
            trainings(read_comparison(OptionFile('mine.yml', text))), ResultFolder(tmp_path / 'out'), lambda _: None
        )
    assert not Path('experiments').exists()


def test_a_gan_is_trained_after_what_it_starts_from() -> None:
    gan = {'opt': 'options/srgan.yml', 'after': ['options/srresnet.yml'], 'seeds': 2}
    text = yaml.safe_dump(options(srgan=gan, srresnet={'opt': 'options/srresnet.yml'}), sort_keys=False)
    runs = [one.run.name for one in trainings(read_comparison(OptionFile('mine.yml', text)))]
    assert runs == ['srresnet_x4', 'srgan_x4', 'srgan_x4_seed1']
