"""Imported by the fork server alone, as the first of all: from then on it ends with its run.

Being imported is all that a fork server can be asked for. It began with Ctrl-C blocked, which
is the run's to hear.
"""

import signal

from deduplab.parent_death import die_with_parent

signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
die_with_parent()
