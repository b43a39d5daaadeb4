"""Enforcement: a flow in, a decision carried out. The only package that imports mitmproxy."""
