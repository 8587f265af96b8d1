"""The queue's bounds and the order of retries, without a network."""

import os
import sys
import threading
import unittest
from unittest import mock

from support import SOURCE

sys.path.append(str(SOURCE))

from packlight_agent import sender as module
from packlight_agent.transport import Failure


class Receiver:
    """A transport that answers as told."""

    def __init__(self, *answers):
        self.answers, self.got = list(answers), []

    def post(self, body, timeout):
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.got.append(body)

    def forget(self):
        pass


class Sending(unittest.TestCase):
    def setUp(self):
        self.said = []
        patch = mock.patch.object(module, "say_seldom", lambda _, text: self.said.append(text))
        patch.start()
        self.addCleanup(patch.stop)
        self.sender = module.Sender()
        # As at the interpreter's end: no thread can be started, so each step is taken here.
        self.sender.thread = 0

    def pipeline(self, receiver, **options):
        return self.sender.add(module.Pipeline("spans", receiver, list, 1.0, **options))

    def test_a_full_queue_drops_what_is_newest_and_says_how_many(self):
        receiver = Receiver()
        pipeline = self.pipeline(receiver, capacity=3)
        for number in range(10):
            self.sender.put(pipeline, number)
        self.sender.flush()
        self.assertEqual(receiver.got, [[0, 1, 2]])
        self.assertEqual(self.said, ["7 spans were dropped: the queue of 3 was full"])

    def test_a_batch_is_tried_again_and_then_given_up_and_counted(self):
        receiver = Receiver(*[Failure("down", retry_after=0)] * module.ATTEMPTS)
        pipeline = self.pipeline(receiver, batch=1)
        self.sender.put(pipeline, 1)
        for _ in range(module.ATTEMPTS):
            pipeline.step()
        self.assertEqual(self.said[-1], "1 spans could not be sent: down")
        self.sender.put(pipeline, 2)
        pipeline.step()
        self.assertEqual(receiver.got, [[2]])

    def test_a_refusal_that_cannot_pass_is_not_tried_again(self):
        receiver = Receiver(Failure("no"))
        pipeline = self.pipeline(receiver, batch=1)
        self.sender.put(pipeline, 1)
        pipeline.step()
        self.assertEqual((pipeline.pending, self.said), (None, ["1 spans could not be sent: no"]))

    def test_a_receiver_may_say_how_long_to_wait(self):
        receiver = Receiver(Failure("busy", retry_after=7))
        pipeline = self.pipeline(receiver, batch=1)
        self.sender.put(pipeline, 1)
        with mock.patch.object(module.time, "monotonic", lambda: 100.0):
            pipeline.step()
            self.assertEqual(pipeline.due(100.0), 107.0)

    def test_what_cannot_be_encoded_is_said_and_the_rest_goes_on(self):
        receiver = Receiver()
        pipeline = self.sender.add(module.Pipeline("spans", receiver, lambda items: [1 // item for item in items], 1.0, batch=1))
        for item in (0, 1):
            self.sender.put(pipeline, item)
        self.sender.flush()
        self.assertEqual(receiver.got, [[1]])
        self.assertIn("1 spans could not be encoded (ZeroDivisionError", self.said[0])

    def test_a_child_that_is_forked_while_a_reader_collects_can_collect_too(self):
        def child():
            pid = os.fork()
            if pid == 0:
                with module.COLLECTING:
                    os._exit(7)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

        with module.COLLECTING:
            # A callback of the app's, in the thread that collects.
            self.assertEqual(child(), 7)
        begun, done = threading.Event(), threading.Event()

        def collect():
            with module.COLLECTING:
                begun.set()
                done.wait(0.2)

        threading.Thread(target=collect).start()
        begun.wait()
        self.assertEqual(child(), 7)
        done.set()


if __name__ == "__main__":
    unittest.main()
