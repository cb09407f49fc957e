"""From photographs to a data set: find, align, select, split, label, write, with a manifest of every file."""
