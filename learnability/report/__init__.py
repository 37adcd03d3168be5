"""Reports: one HTML file that opens without a server, for a colleague or as the whole experiment of arXiv 1901.02347.

colleague   a data set, its suspicious labels, decisions and audits
paper       learnability under several architectures, and how far they agree
study       the runs of one recipe as both read them
agreement   every figure of one recipe's runs, the same that the `agreement` command prints
tables      those figures as tables
pictures    samples as pictures inside the file
page        the file: escaped texts, figures, Plotly once
"""
