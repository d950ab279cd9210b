"""What several test files share: fakes, small datasets, small runs."""
