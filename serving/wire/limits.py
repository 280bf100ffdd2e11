"""Limits on batch sizes and on the attempts of a task."""

from __future__ import annotations

MAX_BATCH_SIZE = 1000
"""Matches in one request to POST /predict/batch."""
MAX_REQUESTS_PER_TASK = 256
"""Requests that share a task. Its headers hold all their ids, and RabbitMQ accepts at most 128 KB of headers."""
MAX_MATCHES_PER_TASK = 8 * MAX_BATCH_SIZE
"""Matches in one task. Every request that shares a task waits for all of it."""
MAX_MATCHES_PER_CALL = 1000
"""Matches in one model call, unless a single task has more. The next tasks wait until the call returns."""
MAX_CLUB_NAME_LENGTH = 200
"""Characters of a competition or club name in a task."""
MAX_MESSAGE_BYTES = 8_000_000
"""Body of one message. The largest task, 8,000 matches between clubs with long names, has less than half of it."""
MAX_HEADER_DEPTH = 8
"""Nesting of a message's headers. Ours are lists at most."""
MAX_RESULT_BYTES = 8_000_000
"""One stored result. The forecasts of 8,000 matches take up 1 MB."""
MAX_DEAD_LETTER_BYTES = 64_000
"""Part of a refused message's body that is kept with its reason."""
MAX_WORKER_CRASHES = 3
"""Child processes that a task may crash before it is reported as failed."""
CALL_TIME_LIMIT_SECONDS = 120.0
"""Time after which a child process that is still in a call counts as stuck and is killed."""
MAX_DELIVERIES = 20
"""Deliveries after which RabbitMQ dead-letters a task. Only a task that repeatedly ends the whole worker reaches it."""
