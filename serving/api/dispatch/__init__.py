"""From a request to a task on the queue, and from its stored result back to the request."""
