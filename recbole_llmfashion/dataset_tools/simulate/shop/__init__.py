"""What is sold: brands, products, titles, and the shop's search."""
