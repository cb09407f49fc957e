"""``facesr compare``: methods side by side on the same images, with intervals, tests, speed, tables and pictures."""
