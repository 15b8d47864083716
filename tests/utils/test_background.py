"""Work beside the caller's: all of it is done on leaving, and what fails is heard."""

import threading
import time

import cv2
import pytest

from utils.run.background import background


def test_all_is_done_on_leaving_and_beside_the_caller():
    done, met = [], threading.Barrier(2, timeout=5)
    with background(2) as run:
        run(met.wait)
        met.wait()
        for number in range(20):
            run(done.append, number)
    assert sorted(done) == list(range(20))


def test_the_first_error_is_raised():
    def fail() -> None:
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"), background(1) as run:
        run(fail)


def test_a_failure_is_heard_by_the_next_call():
    def fail() -> None:
        raise ValueError("early")

    with pytest.raises(ValueError, match="early"), background(1) as run:
        run(fail)
        for _ in range(500):
            run(time.sleep, 0.001)
        pytest.fail("it should have been heard")


def test_what_has_not_begun_is_dropped_where_the_caller_fails():
    begun, gate = [], threading.Event()
    with pytest.raises(KeyError), background(1) as run:
        run(gate.wait, 5)
        for number in range(5):
            run(begun.append, number)
        threading.Timer(0.1, gate.set).start()
        raise KeyError
    assert begun == []


def test_opencv_has_one_thread_meanwhile_and_its_own_afterwards():
    before, meanwhile = cv2.getNumThreads(), []
    try:
        cv2.setNumThreads(2)
        with background(1) as run:
            run(lambda: meanwhile.append(cv2.getNumThreads()))
        assert meanwhile == [1] and cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
