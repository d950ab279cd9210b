"""Stage 3 of the paper: ranks the catalogue for a generated item id and title."""
