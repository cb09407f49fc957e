"""Comparisons that several test files look at."""

from __future__ import annotations

import math
from typing import Any

import cv2

from facesr_ext.comparison.results import (
    Comparison,
    Cost,
    MethodFacts,
    MetricFacts,
    Published,
    ResultFolder,
    SetFacts,
    WholeFigure,
)
from facesr_ext.data.image_io import write_image
from facesr_ext.faces.drawn.face import render_face

HOSTILE = '<script>alert(1)</script>|`a`*b*_c_[d](http://x.example)&$\\foo$%#{~^"\n=cmd()'
"""A name that every format would take for its own."""
PSNR = [20.0, 21.0, 22.0, 23.0, 24.0, 25.0]


def comparison(**changes: Any) -> Comparison:
    """Three methods on a training and a test set of six images; one that could not be built; a row of others.

    ``net`` is 2 dB above ``bicubic`` on every image of the test set and 3 dB on every one of the training set;
    ``twin`` is now above and now below ``net``, the same on average but for 0.01 dB.
    """
    net = [value + 2 for value in PSNR]
    twin = [value + step for value, step in zip(net, (1, -1, 1, -1, 1, -1.06), strict=True)]
    error = [4.0, 3.0, math.nan, 3.0, 2.0, 3.0]
    test = {
        'bicubic': {'psnr_rgb': PSNR, 'rmse': error},
        'net': {'psnr_rgb': net, 'rmse': [value - 1 for value in error]},
        'twin': {'psnr_rgb': twin, 'rmse': error},
    }
    train = {name: {'psnr_rgb': [value + 1 for value in row['psnr_rgb']]} for name, row in test.items()}
    given: dict[str, Any] = {
        'name': 'x8',
        'reference': 'bicubic',
        'methods': [
            MethodFacts('bicubic', 'Bicubic', 'Bicubic', parameters=0),
            MethodFacts('net', 'FSRNet', 'FSRNet', ('net_g.pth',), 'ab' * 32, 3_066_385),
            MethodFacts('twin', 'Twin', 'FSRNet', ('twin.pth',), 'cd' * 32, 3_066_385),
            MethodFacts('gone', 'SRGAN', problem='no checkpoint'),
        ],
        'sets': [
            SetFacts('seen', 'MATLAB bicubic / 8, 8 bit', 8, tuple('abcdef'), (64, 64), split='train'),
            SetFacts('test', 'MATLAB bicubic / 8, 8 bit', 8, tuple('uvwxyz'), (64, 64), split='test'),
            SetFacts('lost', '', 8, problem='there is no folder /data/lost'),
        ],
        'metrics': [
            MetricFacts('psnr_rgb', 'calculate_psnr', True, 'dB'),
            MetricFacts('rmse', 'landmark_rmse_px', False, 'px'),
            MetricFacts('kid', 'kid_vgg16', False, '', True),
        ],
        'published': [Published('FSRNet (paper)', {'psnr_rgb': 99.5}, 'CelebA, Y', 'https://example.org/p', 'test')],
        'values': {'seen': train, 'test': test},
        'whole': {
            'test': {'bicubic': {'kid': WholeFigure(0.2, 0.1, 0.3)}, 'net': {'kid': WholeFigure(0.1, 0.05, 0.12)}}
        },
        'costs': {
            'test': {
                'bicubic': Cost(10_000, 2_000_000, (0.001, 0.002, 0.003, 0.004, 0.005)),
                'net': Cost(5_000_000, 40_000_000, (0.1, 0.2, 0.3)),
            }
        },
        'problems': {'test': {'gone': 'no checkpoint'}},
        'machine': {'CPU': 'x86_64, 2 cores'},
        'notes': ['one image has no face'],
    }
    return Comparison(**{**given, **changes})


def write_faces(
    found: Comparison, folder: ResultFolder, set_name: str = 'test', size: int = 64, scale: int = 8
) -> None:
    """Writes drawn faces as the images of a set: GT, LQ, and for every method the LQ enlarged, each in its own way."""
    ways = (cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_NEAREST)
    facts = next(facts for facts in found.sets if facts.name == set_name)
    for i, name in enumerate(facts.images):
        gt = render_face(3, i, size).image
        lq = cv2.resize(gt, (size // scale, size // scale), interpolation=cv2.INTER_AREA)
        write_image(folder.image(set_name, folder.GT, name), gt)
        write_image(folder.image(set_name, folder.LQ, name), lq)
        for way, method in zip(ways, found.ran(set_name), strict=False):
            write_image(folder.image(set_name, method.name, name), cv2.resize(lq, (size, size), interpolation=way))
