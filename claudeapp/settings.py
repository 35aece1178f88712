"""What is this installation set to? One file, read from the environment (and from `.env` where it exists)."""

from __future__ import annotations

import importlib.util
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from claudeapp import environment
from claudeapp.admin_theme import UNFOLD  # noqa: F401 - a setting
from claudeapp.environment import BASE_DIR, VAR_DIR
from claudeapp.logs import FORMS, logging_for
from core.hints.logs import discreet

environment.read_dotenv(BASE_DIR / ".env")

DEBUG = environment.yes_no("DEBUG", default=False)
PORT = environment.whole_number("PORT", 8000, 1, 65535)
HOST = environment.ip_address("HOST", "0.0.0.0")  # noqa: S104 - behind a proxy it must be reachable
# What this process is, where that matters to its start: `api`, `function`, or empty.
SERVES = environment.text("CLAUDEAPP_SERVES")
# The key of calls that come as bare events to the function, which carry none themselves.
LAMBDA_KEY = environment.text("CLAUDEAPP_LAMBDA_KEY")
# How many requests the `api` process works on at once.
WEB_THREADS = environment.whole_number("WEB_THREADS", 200, 1, 10_000)
# How long a client may take to send its headers, to go on sending a body, and to read on, in seconds.
CLIENT_PATIENCE = environment.whole_number("CLIENT_PATIENCE", 20, 1, 3600)
LOG_LEVEL = environment.one_of("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
# Lines for people, or an object a line for what collects logs.
LOG_FORMAT = environment.one_of("LOG_FORMAT", "LINE" if DEBUG else "JSON", FORMS)

# --- Who may reach this server ---
if DEBUG:
    SECRET_KEY = environment.text("SECRET_KEY", "development-only-not-a-secret-" + "x" * 30)
    ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
else:
    SECRET_KEY = environment.required(
        "SECRET_KEY", "a long random text, or DEBUG=true for a trial on your own machine."
    )
    environment.required("ALLOWED_HOSTS", "the host names people use, separated by commas.")
    ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = environment.names("CSRF_TRUSTED_ORIGINS")
for host in ALLOWED_HOSTS:
    if "/" in host or ":" in host.strip("[]").replace("::1", ""):
        environment.refuse("ALLOWED_HOSTS", f"must hold host names such as claude.example.org, not {host!r}.")
for origin in CSRF_TRUSTED_ORIGINS:
    scheme, _, origin_host = origin.partition("://")
    if scheme not in {"http", "https"} or not origin_host:
        environment.refuse(
            "CSRF_TRUSTED_ORIGINS", f"must hold addresses such as https://claude.example.org, not {origin!r}."
        )

# --- Claude ---
ANTHROPIC_API_KEY = environment.text("ANTHROPIC_API_KEY")
if not ANTHROPIC_API_KEY and not DEBUG:
    environment.required("ANTHROPIC_API_KEY", "the key that this server calls Claude with.")
# Without a key the simulator stands in for Claude, and every page says so.
SIMULATED = not ANTHROPIC_API_KEY
SIMULATOR_PORT = environment.whole_number("SIMULATOR_PORT", PORT + 1 if PORT < 65535 else PORT - 1, 1, 65535)
if SIMULATED and SIMULATOR_PORT == PORT:
    environment.refuse("SIMULATOR_PORT", f"must differ from PORT, which is {PORT} too.")
ANTHROPIC_BASE_URL = environment.web_address(
    "ANTHROPIC_BASE_URL",
    f"http://127.0.0.1:{SIMULATOR_PORT}" if SIMULATED else "https://api.anthropic.com",
)
# Whether the key's workspace keeps in the US what does not say where to be answered; that costs more, and is reserved.
INFERENCE_IN_US = environment.yes_no("INFERENCE_IN_US", default=False)
# Reads the organisation's cost report, for reconciliation only; it never sends a message.
ANTHROPIC_ADMIN_KEY = environment.text("ANTHROPIC_ADMIN_KEY")
# Ids of the API keys that this installation calls Claude with; empty: it is the organisation's only program.
RECONCILE_API_KEY_IDS = environment.names("RECONCILE_API_KEY_IDS")
# By how much, per model and day, the ledger may be off the provider's report before it counts as a difference.
RECONCILE_TOLERANCE_USD = environment.usd("RECONCILE_TOLERANCE_USD", "0.01")
# Who is told of a difference; empty: everybody who may both see the spend and put costs right.
RECONCILE_ALERT_TO = environment.names("RECONCILE_ALERT_TO")
# How long one attempt at a call may take, in seconds; one that falls silent at the end may take as long once more.
CALL_TIMEOUT = environment.whole_number("CALL_TIMEOUT", 600, 1, 86400)
# A running call whose process has not renewed this lease is taken to be lost, in seconds.
CALL_LEASE = environment.whole_number("CALL_LEASE", 30, 3, 3600)
# How often a call of the queue is tried, with each model that may answer it, before it is given up.
CALL_ATTEMPTS = environment.whole_number("CALL_ATTEMPTS", 5, 1, 100)
# Minutes of trying after which it is given up; what it waits in the queue or for a spend limit's end does not count.
CALL_GIVE_UP_AFTER = environment.whole_number("CALL_GIVE_UP_AFTER", 1440, 1, 43_200)
# The same for a program that waits for its answer: tries with each model; seconds that one may take, or may be silent
# in a stream; and seconds in all within which a further try may begin. A key may have other figures of its own.
SYNC_ATTEMPTS = environment.whole_number("SYNC_ATTEMPTS", 3, 1, 10)
SYNC_TRY_SECONDS = environment.whole_number("SYNC_TRY_SECONDS", 60, 1, 3600)
SYNC_PATIENCE = environment.whole_number("SYNC_PATIENCE", 120, 0, 3600)
# After so many failures in a row a model is not asked for so many seconds.
BREAKER_FAILURES = environment.whole_number("BREAKER_FAILURES", 5, 1, 1000)
BREAKER_SECONDS = environment.whole_number("BREAKER_SECONDS", 30, 1, 3600)

# --- Housekeeping and alarms ---
# Days after which the contents of calls are removed, their costs stay; 0: never.
RESULT_RETENTION_DAYS = environment.whole_number("RESULT_RETENTION_DAYS", 0, 0, 36_500)
# Who is told of calls that were given up and of regular work that is late; empty: everybody who may deal with both.
ALERT_TO = environment.names("ALERT_TO")
# They are told of the first call, and then of each so many more; never more often than once in so many minutes.
DEAD_LETTER_STEP = environment.whole_number("DEAD_LETTER_STEP", 10, 1, 1_000_000)
ALERT_QUIET_MINUTES = environment.whole_number("ALERT_QUIET_MINUTES", 60, 0, 100_000)

# What Prometheus sends as `Authorization: Bearer …` to /metrics; empty: only staff with leave for the queues see it.
METRICS_TOKEN = environment.secret("METRICS_TOKEN", 16)

# --- Limits of the gateway ---
# How much may be sent in a minute by each key, by all keys of one person, and by all keys together; 0: no limit. Tokens
# are those of input and output. A key or person may have other figures of their own.
MOST_A_MINUTE = 10**9
LIMIT_REQUESTS_PER_MINUTE_KEY = environment.whole_number("LIMIT_REQUESTS_PER_MINUTE_KEY", 0, 0, MOST_A_MINUTE)
LIMIT_REQUESTS_PER_MINUTE_USER = environment.whole_number("LIMIT_REQUESTS_PER_MINUTE_USER", 0, 0, MOST_A_MINUTE)
LIMIT_REQUESTS_PER_MINUTE_ORGANISATION = environment.whole_number(
    "LIMIT_REQUESTS_PER_MINUTE_ORGANISATION", 0, 0, MOST_A_MINUTE
)
LIMIT_TOKENS_PER_MINUTE_KEY = environment.whole_number("LIMIT_TOKENS_PER_MINUTE_KEY", 0, 0, MOST_A_MINUTE)
LIMIT_TOKENS_PER_MINUTE_USER = environment.whole_number("LIMIT_TOKENS_PER_MINUTE_USER", 0, 0, MOST_A_MINUTE)
LIMIT_TOKENS_PER_MINUTE_ORGANISATION = environment.whole_number(
    "LIMIT_TOKENS_PER_MINUTE_ORGANISATION", 0, 0, MOST_A_MINUTE
)

# --- Where things are kept ---
environment.make_folder(VAR_DIR)
DATABASES: dict[str, dict[str, Any]] = {
    "default": environment.database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'claudeapp.sqlite3'}"),
}
REDIS_EMBEDDED = not environment.text("REDIS_URL")
REDIS_URL = environment.redis_address("REDIS_URL", environment.default_redis_url())
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "core.User"
AUTHENTICATION_BACKENDS = ["core.models.signing_in.SigningIn"]

# --- Work ---
_queue = {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 2 * CALL_TIMEOUT + 60, "DEFAULT_RESULT_TTL": 60}
RQ_QUEUES: dict[str, dict[str, Any]] = {name: dict(_queue) for name in ("calls", "batches", "housekeeping")}
# How many calls one worker process runs at once.
WORKER_CONCURRENCY = environment.whole_number("WORKER_CONCURRENCY", 32, 1, 1000)
# A single call whose route says «send as batch» goes to Claude with others: after so many minutes, or when there are so
# many.
BATCH_WAIT_MINUTES = environment.whole_number("BATCH_WAIT_MINUTES", 15, 0, 1440)
BATCH_WAIT_CALLS = environment.whole_number("BATCH_WAIT_CALLS", 1000, 1, 10_000)
# Days after which a table that was uploaded and never started is removed.
BULK_DRAFT_DAYS = environment.whole_number("BULK_DRAFT_DAYS", 14, 1, 3650)
# Seconds that a worker which is told to stop lets its calls end; the rest is handed back.
SHUTDOWN_GRACE = environment.whole_number("SHUTDOWN_GRACE", 25, 0, 86400)
RQ = {"WORKER_CLASS": "core.jobs.worker.CallWorker"}
# The queue dashboard is registered in core.admin, where it asks for a permission and not only for staff status.
RQ_SHOW_ADMIN_LINK = False

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    # A function finds what is in the administration when somebody asks for it, and not at its start.
    "django.contrib.admin" if SERVES != "function" else "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_rq",
    "csp",
    # Last, so that the permissions of all the others exist when the roles are given theirs.
    "core",
]

MIDDLEWARE = [
    "claudeapp.request_ids.RequestIdMiddleware",
    "core.gateway.door.ProgramsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "claudeapp.policy.PolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "core.pages.nul.RefuseNulMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "claudeapp.urls"
WSGI_APPLICATION = "claudeapp.wsgi.application"
ASGI_APPLICATION = "claudeapp.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "core.pages.context.installation",
                "core.pages.context.budget_notices",
                "core.pages.context.spend_limit",
            ],
        },
    },
]

# --- E-mail ---
_mail = environment.mail_server("EMAIL_URL", "consolemail://" if DEBUG else "smtp://localhost:25")
EMAIL_BACKEND, EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_BACKEND"], _mail["EMAIL_HOST"], _mail["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"], _mail["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("EMAIL_USE_TLS", False), _mail.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = _mail["EMAIL_FILE_PATH"] or None
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = environment.text("EMAIL_FROM", "claudeapp@localhost")

# --- Language and time ---
LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "claudeapp.formats"
TIME_ZONE = environment.time_zone("TIME_ZONE", "UTC")
USE_I18N = True
USE_TZ = True

# --- Static files ---
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# Empty in a trial, where files are served from where they lie; WhiteNoise warns of a missing folder.
environment.make_folder(STATIC_ROOT)
# Swagger UI, for the plain API's description. As an app, ninja would be imported by every process and command.
STATICFILES_DIRS = [("ninja", environment.package_folder("ninja") / "static" / "ninja")]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage",
    },
}

# --- Signing in ---
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "catalogue"
LOGOUT_REDIRECT_URL = "catalogue"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# --- Safety in the browser ---
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}
# The admin's theme computes with Alpine.js, which evaluates expressions; it too runs no inline script.
ADMIN_CONTENT_SECURITY_POLICY = {"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
if not DEBUG:
    # Behind a proxy that ends TLS; HTTPS_ONLY=false is for a trial without one.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    HTTPS_ONLY = environment.yes_no("HTTPS_ONLY", default=True)
    SECURE_SSL_REDIRECT = HTTPS_ONLY
    # A probe asks from inside, without TLS.
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
    SESSION_COOKIE_SECURE = HTTPS_ONLY
    CSRF_COOKIE_SECURE = HTTPS_ONLY
    SECURE_HSTS_SECONDS = 31536000 if HTTPS_ONLY else 0
    # For this host only: the organisation's other hosts below it, and browsers' preload lists, are not ours to bind.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
# Bytes of a form; 400,000 characters of any script fit, as a browser encodes them.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000_000

# --- Logs ---
LOGGING = logging_for(LOG_LEVEL, LOG_FORMAT)

SENTRY_DSN = environment.text("SENTRY_DSN")
if SENTRY_DSN:
    if importlib.util.find_spec("sentry_sdk") is None:
        environment.refuse("SENTRY_DSN", "is set, but sentry-sdk is not installed: install requirements/prod.txt.")
    import sentry_sdk

    sentry_sdk.init(
        dsn=environment.web_address("SENTRY_DSN", ""),
        send_default_pii=False,
        max_request_body_size="never",
        # They hold keys, and what people and programs ask.
        include_local_variables=False,
        before_send=discreet,
    )
