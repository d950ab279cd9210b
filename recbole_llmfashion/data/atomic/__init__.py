"""RecBole's atomic files: one reader, one writer, the checks."""
