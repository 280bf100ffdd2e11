"""Removes environment variables that Celery, kombu and billiard would prefer to our settings.

`CELERY_BROKER_URL`, for example, lets the worker consume the queue of another broker. Imports nothing of Celery,
because some of the variables take effect when it is imported.
"""

from __future__ import annotations

import os
import re

_LIBRARY_VARIABLES = re.compile(
    # Celery's own, and those of its command line (`CELERY_WORKER_POOL` is `--pool`).
    r"CELERY(D)?_\w+|C_(STRICT_APP|WARN_APP|IMPDEBUG|WNOCONF|REMDEBUG|BENCH|BENCH_EVERY|FAKEFORK)"
    # What `celery` takes its global options from.
    r"|APP|BROKER_URL|RESULT_BACKEND|LOADER|CONFIG_MODULE|SKIP_CHECKS"
    r"|AUTOSCALE_KEEPALIVE|EVENTLET_NOBLOCK|TIMER_DEBUG|USE_FAST_LOCALS|DJANGO_SETTINGS_MODULE"
    r"|KOMBU_\w+|PICKLE_PROTOCOL|DISABLE_TRACEBACKS"
    r"|FORKED_BY_MULTIPROCESSING|REMAP_SIGTERM|MP_LOG|MP_MAIN_FILE|_MP_FORK_\w+"
)


def remove_library_variables() -> list[str]:
    """Remove them from this process, and return their names."""
    names = [name for name in os.environ if _LIBRARY_VARIABLES.fullmatch(name)]
    for name in names:
        del os.environ[name]
    return names
