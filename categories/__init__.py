"""What a site is: sources, parsing, compiling, lookup. Knows nothing of people."""
