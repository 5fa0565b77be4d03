"""Any forward pass: read from a file that runs, differentiated line by line."""
