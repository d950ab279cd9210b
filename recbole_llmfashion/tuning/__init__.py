"""Search over keys on the validation metric: what run_hyper.py calls, on Ray Tune. Calls down, only scripts call it."""
