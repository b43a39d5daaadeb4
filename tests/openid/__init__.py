"""OpenID providers: a real one in a process of its own, and a fake for what no real one says."""
