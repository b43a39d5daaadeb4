"""What holds for every test of this folder."""

from hypothesis import settings

# An example that writes files takes longer on a busy machine; pytest's own timeout holds.
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")
