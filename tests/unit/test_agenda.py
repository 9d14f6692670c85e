"""Tasks are handed out phase by phase, once each, and once more to another connection when they fail."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from mailarchive.archive.messages import MessageReader
from mailarchive.errors import MailboxUnavailable
from mailarchive.ops.agenda import Agenda, Task
from mailarchive.targets.accounts import AccountTarget

AT_ONCE = 5.0


class Named:
    """What a task is for, by which it is told from others."""

    settled = 0

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_given_up = False

    def fail(self, error: MailboxUnavailable) -> None:
        raise error

    def work(self, target: AccountTarget, reader: MessageReader) -> None:
        del target, reader


def tasks(*names: str) -> list[Task]:
    return [Task(one, one.work) for one in map(Named, names)]


def name_of(task: Task | None) -> str | None:
    return None if task is None else task.owner.name if isinstance(task.owner, Named) else ""


def agenda(*phases: list[Task], is_stopping: Callable[[], bool] = lambda: False) -> Agenda:
    return Agenda([phase_of(phase) for phase in phases], is_stopping)


def phase_of(phase: Iterable[Task]) -> Callable[[], Iterable[Task]]:
    return lambda: phase


def test_tasks_come_in_order_and_then_nothing() -> None:
    of_two = agenda(tasks("a", "b"), tasks(), tasks("c"))
    found = []
    while (task := of_two.take()) is not None:
        found.append(name_of(task))
        of_two.give_back(task, is_done=True)
    assert found == ["a", "b", "c"]
    assert of_two.take() is None


def test_a_phase_is_not_asked_before_the_one_before_is_done() -> None:
    asked = threading.Event()

    def second() -> list[Task]:
        asked.set()
        return tasks("second")

    of_two = Agenda([phase_of(tasks("a", "b")), second], lambda: False)
    first, other = of_two.take(), of_two.take()
    assert first is not None
    assert other is not None
    of_two.give_back(first, is_done=True)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(of_two.take)
        assert not asked.wait(0.05)
        of_two.give_back(other, is_done=True)
        assert name_of(waiting.result(AT_ONCE)) == "second"


def test_what_fails_is_done_once_more_and_then_given_up() -> None:
    of_one = agenda(tasks("a", "b"))
    first = of_one.take()
    assert first is not None
    of_one.give_back(first, is_done=False)
    given_up = [first.owner.is_given_up]
    second = of_one.take()
    assert second is not None
    of_one.give_back(second, is_done=True)
    again = of_one.take()
    assert (name_of(second), name_of(again)) == ("b", "a")
    of_one.give_back(first, is_done=False)
    assert [*given_up, first.owner.is_given_up] == [False, True]
    assert of_one.take() is None


def test_who_waits_takes_what_another_could_not_do() -> None:
    of_one = agenda(tasks("a"))
    task = of_one.take()
    assert task is not None
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(of_one.take)
        of_one.give_back(task, is_done=False)
        assert waiting.result(AT_ONCE) is task


def test_when_the_run_is_to_end_nothing_is_handed_out_and_nobody_waits() -> None:
    stop = threading.Event()
    of_one = agenda(tasks("a", "b"), is_stopping=stop.is_set)
    assert of_one.take() is not None
    assert of_one.waiting == 1
    stop.set()
    assert of_one.take() is None
    lonely = agenda(tasks("a"), is_stopping=stop.is_set)
    assert lonely.take() is None


def test_many_connections_do_each_task_once() -> None:
    names = [str(number) for number in range(200)]
    of_many, done = agenda(tasks(*names[:150]), tasks(*names[150:])), list[str | None]()

    def work() -> None:
        while (task := of_many.take()) is not None:
            done.append(name_of(task))
            of_many.give_back(task, is_done=True)

    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(work) for _ in range(8)]:
            one.result(AT_ONCE)
    assert sorted(done, key=str) == sorted(names)
    assert set(done[:150]) == set(names[:150])
