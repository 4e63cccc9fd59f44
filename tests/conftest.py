"""What holds for every test."""

import os

from hypothesis import settings

settings.register_profile("leadintake", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("leadintake")
