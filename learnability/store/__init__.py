"""The cache folder: every path, every lock, every atomic commit, every reader. docs/cache-format.md has the promises.

files      files that appear whole or not at all          paths      where everything lies
locks      one function for all locks                     datasets   data set and label versions
runs       reading runs, also while they are written      writer     the one writer of a run
scores     scores.parquet and the score table             health     what `doctor` asks
heldout    scores of samples by the run that held them out   prefixes   scores over the first looks of a run
"""
