"""The visit log on disk."""
