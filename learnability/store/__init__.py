"""The cache folder: every path, every lock, every atomic commit, every reader. docs/cache-format.md has the promises."""
