"""Parsing masks of faces by facexlib's networks, their weights found by the one rule; its own loader downloads."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import torch

from facesr_ext.errors import CheckpointError
from facesr_ext.faces.extras import facexlib_network
from facesr_ext.faces.labels import BISENET19, CELEBAMASK19, PARSENET19
from facesr_ext.host.parts import known_name
from facesr_ext.host.weights import find_weights
from facesr_ext.imaging import to_tensor

ParserName = Literal['bisenet', 'parsenet']

_SIDE = 512
_RELEASES = 'https://github.com/xinntao/facexlib/releases/download'
_URLS = {
    'bisenet': f'{_RELEASES}/v0.2.0/parsing_bisenet.pth',
    'parsenet': f'{_RELEASES}/v0.2.2/parsing_parsenet.pth',
}


def parsing_weights(name: str) -> tuple[str, str]:
    """The file of a parser's weights, and where to get it."""
    return _URLS[name].rsplit('/', 1)[-1], _URLS[name]


class FaceParser:
    """BiSeNet or ParseNet, both trained on CelebAMask-HQ at 512 px.

    Args:
        name (str): 'bisenet' or 'parsenet'.
        weights (Path | None): Folder with parsing_bisenet.pth or parsing_parsenet.pth.
        device (torch.device | str): Where it runs.

    Raises:
        OptionError: for another name, or a folder without the file.
        DependencyError: if facexlib is not installed, or the weights are nowhere; it says what to do.
        CheckpointError: if the file holds something else.
    """

    def __init__(self, name: str, weights: Path | None = None, device: torch.device | str = 'cpu') -> None:
        known_name(('--parse',), name, get_args(ParserName))
        network = facexlib_network('BiSeNet' if name == 'bisenet' else 'ParseNet')
        filename, url = parsing_weights(name)
        file = find_weights(filename, url, weights and weights / filename)
        arguments = {'num_class': 19} if name == 'bisenet' else {'in_size': _SIDE, 'out_size': _SIDE, 'parsing_ch': 19}
        net = network(**arguments)
        try:
            net.load_state_dict(torch.load(file, map_location='cpu', weights_only=True))
        except Exception as err:  # damaged bytes: an unpickler raises nearly anything
            raise CheckpointError(f'{file} does not hold the weights of {name}; delete it, and get it again') from err
        self.net, self.device = net.eval().to(device), torch.device(device)
        self.to_celebamask = (BISENET19 if name == 'bisenet' else PARSENET19).table_to(CELEBAMASK19)

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> np.ndarray:
        """An aligned face (H, W, 3) uint8 RGB -> (H, W) uint8 classes of celebamask19."""
        large = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
        scores = self.net((to_tensor(large)[None].to(self.device) - 0.5) / 0.5)[0]
        classes = scores[0].argmax(0).to(torch.uint8).cpu().numpy()
        mask = cv2.resize(classes, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        return self.to_celebamask[mask]
