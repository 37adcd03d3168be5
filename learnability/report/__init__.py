"""Reports: one HTML file that opens without a server, for a colleague or as the whole experiment of arXiv 1901.02347.

agreement   every figure of one recipe's runs, the same that the `agreement` command prints
"""
