"""What a face is: label sets and their mappings, landmarks and heatmaps."""
