"""Section 3 of the paper on any folder of atomic files: Table 1 and the fashion characteristics C1 to C4."""
