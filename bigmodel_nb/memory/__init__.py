"""Memory: what a run will need, how much is used, allowed and free, what a call adds, and what to do
when it runs out."""

from bigmodel_nb.memory.peak import Measured, measure
from bigmodel_nb.memory.planning import SHAPES, Plan, plan
from bigmodel_nb.memory.recovery import free_caches, is_out_of_memory, retry_smaller
from bigmodel_nb.memory.usage import available, limit, rss

__all__ = ["SHAPES", "Measured", "Plan", "available", "free_caches", "is_out_of_memory", "limit", "measure",
           "plan", "retry_smaller", "rss"]
