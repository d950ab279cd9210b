"""Sequential LLM framework for fashion recommendation (arXiv 2410.11327) as a RecBole extension."""

__version__ = "0.1.0"
