"""Starting or joining a Ray cluster, and data-parallel fine-tuning on Ray Train."""
