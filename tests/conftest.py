"""Property tests that give the same result on a busy machine as on an idle one: no deadline per example, the same examples every time."""

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
