"""Networks, one method a file (``*_arch.py``), registered in BasicSR's ``ARCH_REGISTRY``."""

from facesr_ext import register

register()
