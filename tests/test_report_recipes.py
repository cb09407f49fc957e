"""What the reports state of a training, and what their recipes say."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.support import OPTIONS

S3 = ('srresnet', 'srgan', 'srwgan_gp', 'srpggan_x4')


def _recipe(name: str) -> dict[str, Any]:
    opt: dict[str, Any] = yaml.safe_load((OPTIONS / f'{name}.yml').read_text(encoding='utf-8'))
    return opt


def test_srgan_has_the_hyperparameters_of_srresnet() -> None:
    """S3: 'the same hyperparameters as SRResnet are used here'."""
    srresnet, srgan = _recipe('srresnet')['train'], _recipe('srgan')['train']
    for key in ('optim_g', 'scheduler', 'total_iter', 'ema_decay'):
        assert srgan[key] == srresnet[key], key
    assert srgan['optim_d'] == srgan['optim_g'] and srgan['optim_g']['lr'] == 8e-5
    assert srgan['scheduler']['milestones'] == [] and srgan['total_iter'] == 200_000


@pytest.mark.parametrize('name', S3[1:])
def test_the_networks_of_s3_see_the_same_data(name: str) -> None:
    for key in ('datasets', 'degradation'):
        assert _recipe(name)[key] == _recipe(S3[0])[key]
    assert _recipe(name)['datasets']['train']['batch_size_per_gpu'] == 8
