"""RecBole's atomic files: the reader, the writer and the checks."""
