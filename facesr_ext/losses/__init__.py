"""Losses (``*_loss.py``), registered in BasicSR's ``LOSS_REGISTRY``."""

from facesr_ext import register

register()
