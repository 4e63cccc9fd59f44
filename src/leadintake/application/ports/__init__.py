"""What the use cases need from the outside. A plain callable stands where one function is enough, as for the clock."""

from collections.abc import Callable
from datetime import datetime

Clock = Callable[[], datetime]
"""Now, in UTC."""
