"""The LLM's responses to every row of a split, by one process or by many, as Parquet."""
