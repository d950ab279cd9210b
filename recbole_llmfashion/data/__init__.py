"""Datasets: atomic files, the train/valid/test split, users' timelines and RecBole's loaders over them."""
