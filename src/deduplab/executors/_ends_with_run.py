"""Imported by the fork server alone, as the first of all: from then on it ends with its run.

Being imported is all that a fork server can be asked for.
"""

from deduplab.parent_death import die_with_parent

die_with_parent()
