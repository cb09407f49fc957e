"""Degradations: GT -> LQ on the tensor's own device, reproducible, by name from the option file."""

from facesr_ext import register

register()
