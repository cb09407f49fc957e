"""Drawn faces, each a function of (seed, index), with exact masks and landmarks."""
