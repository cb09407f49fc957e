"""The ``facesr`` command: one file a command."""
