"""The built-in faces: drawn, each a function of (seed, index), with exact masks and landmarks."""
