"""One file a shell command: `add` puts it into the parser, `run` does it."""
