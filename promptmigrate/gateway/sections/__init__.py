"""The sections of a route file, each checked on its own; :mod:`promptmigrate.gateway.route` is the whole."""
