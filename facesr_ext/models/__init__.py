"""Training and test models (``*_model.py``), registered in BasicSR's ``MODEL_REGISTRY``."""

from facesr_ext import register

register()
