"""What the paper asks of the results: its tables, its figures, its claims, each a command over run_experiment."""
