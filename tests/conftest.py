"""What the tests share: the simulator, an empty Redis, and people for each role."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator

import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, transaction
from pytest_django import DjangoDbBlocker
from rq import Queue, Worker

from core.costs import prices
from core.execution import breaker, fallbacks
from core.hints import aside
from core.models import Budget, ClaudeModel, Price, Prompt, User, Variable, guard
from core.routing import book
from core.routing.catalogue import sync_models
from core.routing.ready import load_ready_made
from core.simulator.server import Simulator
from tests import environment


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> None:
    """A good password hash takes a quarter of a second, and each test makes a person or two."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """A file, as in production: SQLite in memory locks differently, and no other process can see it."""
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(environment.FOLDER / "test.sqlite3")


@pytest.fixture(scope="session", autouse=True)
def _tests_may_empty_the_ledger() -> None:
    """Django empties all tables after a test with real transactions; the ledger's guard is off for just that long.

    In the same transaction, and here only: the project itself has no way around its guard.
    """
    empty = connection.ops.execute_sql_flush

    def without_guard(sql_list: Iterable[str]) -> None:
        empty([*guard.removal(connection), *sql_list, *guard.installation(connection)])

    connection.ops.execute_sql_flush = without_guard  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The PostgreSQL cluster is thrown away whole; dropping its database would race with sessions just closed."""
    return environment.cluster is not None


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """The simulator at the address in the settings, answering at once."""
    port = int(settings.ANTHROPIC_BASE_URL.rsplit(":", 1)[1])
    server = Simulator(port=port, pace=0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def claude(simulator: Simulator) -> Iterator[Simulator]:
    """The simulator with an empty bill and no batches; what a test sets of its pace is put back."""
    simulator.state.clear()
    simulator.state.batches._batches.clear()
    yield simulator
    simulator.state.batches.seconds = 0


@pytest.fixture(autouse=True)
def _empty_redis() -> Iterator[None]:
    yield
    redis.Redis.from_url(f"unix://{environment.FOLDER}/redis.sock").flushall()
    breaker.board.forget()
    fallbacks.chains.forget()


@pytest.fixture(autouse=True)
def _nothing_left_aside() -> Iterator[None]:
    """An e-mail of one test must not reach the next one's box."""
    yield
    assert aside.wait(30)


@pytest.fixture
def one_transaction() -> Iterator[None]:
    """For the application itself, called without Django's client, which knows this by itself.

    Between two requests a server closes the connection, and with it a test's transaction.
    """
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def registered() -> Callable[..., None]:
    """Lets Redis know of a worker that takes from these queues, as the worker itself does when it starts."""

    def make(*names: str) -> None:
        server = redis.Redis.from_url(f"unix://{environment.FOLDER}/redis.sock")
        Worker([Queue(name, connection=server) for name in names], connection=server).register_birth()  # type: ignore[no-untyped-call]

    return make


@pytest.fixture(scope="session")
def catalogue_rows(
    simulator: Simulator, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> tuple[list[ClaudeModel], list[Price]]:
    """The models as the simulator lists them, and their prices; asked for once, as that takes a third of a second."""
    with django_db_blocker.unblock(), transaction.atomic():
        sync_models()
        prices.load(prices.pending_changes())
        rows = list(ClaudeModel.objects.all()), list(Price.objects.all())
        transaction.set_rollback(True)
    return rows


@pytest.fixture
def catalogue(db: None, catalogue_rows: tuple[list[ClaudeModel], list[Price]]) -> None:
    models, book = copy.deepcopy(catalogue_rows)
    ClaudeModel.objects.bulk_create(models)
    for price in book:
        price.pk = None
    Price.objects.bulk_create(book)


@pytest.fixture(autouse=True)
def _routing_read_anew() -> None:
    """Rows are rolled back after each test, behind the back of what the process remembers of them."""
    book.forget()


@pytest.fixture
def ready_made(catalogue: None) -> None:
    """The aliases, classifiers and routes that every installation begins with."""
    load_ready_made()


@pytest.fixture
def person(db: None) -> Callable[..., User]:
    """Makes a person with the named roles."""

    def make(username: str, *roles: str, staff: bool = False) -> User:
        user = User.objects.create_user(username, f"{username}@example.org", "secret", is_staff=staff)
        user.groups.set(Group.objects.filter(name__in=roles))
        assert user.groups.count() == len(roles)
        return user

    return make


@pytest.fixture
def outsider(person: Callable[..., User]) -> User:
    """Somebody with a login and nothing else: no role, no staff status."""
    return person("outsider")


@pytest.fixture
def member(person: Callable[..., User]) -> User:
    return person("member", "Member")


@pytest.fixture
def editor(person: Callable[..., User]) -> User:
    return person("editor", "Prompt editor", staff=True)


@pytest.fixture
def publisher(person: Callable[..., User]) -> User:
    return person("publisher", "Prompt publisher", staff=True)


@pytest.fixture
def finance(person: Callable[..., User]) -> User:
    return person("finance", "Finance", staff=True)


@pytest.fixture
def operator(person: Callable[..., User]) -> User:
    return person("operator", "Operator", staff=True)


@pytest.fixture
def administrator(person: Callable[..., User]) -> User:
    return person("administrator", "Administrator", staff=True)


@pytest.fixture
def budget(member: User) -> Budget:
    """A hundred dollars a month for everybody."""
    return Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=100, owner=member)


@pytest.fixture
def prompt(catalogue: None) -> Prompt:
    """A published prompt with one long text and one choice, for everyone who is signed in."""
    made = Prompt.objects.create(
        name="Summarise a document",
        slug="summarise",
        template="Summarise this text in a {{length}} form:\n\n{{document}}",
        model=ClaudeModel.objects.get(pk="claude-haiku-5-5"),
        max_tokens=1000,
    )
    Variable.objects.create(prompt=made, name="document", label="Document", kind=Variable.Kind.LONG_TEXT)
    Variable.objects.create(
        prompt=made, name="length", label="Length", kind=Variable.Kind.CHOICE, choices="short\nlong", default="short"
    )
    made.publish(None)
    return made
