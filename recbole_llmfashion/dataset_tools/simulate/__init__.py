"""A simulated shop with the four traits of the paper's section 3; what it makes reaches the rest as atomic files."""
