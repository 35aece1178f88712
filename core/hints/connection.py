"""How does whoever must not wait for Redis reach it?"""

from __future__ import annotations

import os
from functools import lru_cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

# Seconds.
CONNECT_TIMEOUT = 2
ANSWER_TIMEOUT = 5
# More than threads of a process ask at once; redis-py's own limit of 100 is an error and no queue.
MOST_CONNECTIONS = 2000


def quick_redis(url: str = "", *, as_text: bool = True) -> redis.Redis:
    """This process's connections to the server at `url`, usually that of the settings; RQ wants bytes from its own.

    They fail at once where redis-py would try again for seconds: a form or a running answer does without Redis.
    """
    return _connection_of(os.getpid(), url or settings.REDIS_URL, as_text)


@lru_cache(maxsize=8)
def _connection_of(_pid: int, url: str, as_text: bool) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        decode_responses=as_text,
        # The answers' shapes differ between the protocol's versions.
        protocol=2,
        max_connections=MOST_CONNECTIONS,
        socket_timeout=ANSWER_TIMEOUT,
        socket_connect_timeout=CONNECT_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )
