"""The built-in strategies, one module each; see :func:`promptmigrate.search.strategy`."""
