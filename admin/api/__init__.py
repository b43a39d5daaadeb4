"""The API of the admin site: what its pages do, for programs; and the document that describes it."""
