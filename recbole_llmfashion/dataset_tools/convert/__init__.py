"""Public logs to clean atomic files: one module a source, one body (`job`) that filters, joins, cleans and writes."""
