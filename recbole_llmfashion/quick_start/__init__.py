"""run_experiment: one model on one dataset; the table of models."""
