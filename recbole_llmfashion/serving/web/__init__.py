"""The HTTP service: routes, limits, token, metrics, dynamic batching, log of item changes. Only app.py needs Ray."""
